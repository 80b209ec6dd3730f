package resiliencetest

import (
	"slices"

	"github.com/holdfast-go/holdfast/selector"
)

// SetNodes makes nodes the whole set: for weights, zones and addresses, and
// for nodes that leave. Scripts stay with their IDs; a node without one
// answers well and at once. Clients hear of it before SetNodes returns.
func (b *Bench) SetNodes(nodes ...selector.Node) {
	b.set = slices.Clone(nodes)
	for _, s := range slices.Clone(b.sources) { // an observer may close one
		s.report(slices.Clone(b.set), nil)
	}
}

// FailSource tells the clients that the set cannot be read, because of err.
// What they know stays in use.
func (b *Bench) FailSource(err error) {
	for _, s := range slices.Clone(b.sources) {
		s.report(nil, err)
	}
}

// Source reports the bench's nodes, and every change of them. It is for a
// selector of one's own; [Bench.Client] has one already. One Source serves
// one selector, which closes it.
func (b *Bench) Source() selector.Source { return &source{bench: b} }

type source struct {
	bench  *Bench
	report func([]selector.Node, error)
}

func (s *source) Watch(report func([]selector.Node, error)) error {
	s.report = report
	s.bench.sources = append(s.bench.sources, s)
	report(slices.Clone(s.bench.set), nil)
	return nil
}

func (s *source) Close() error {
	s.bench.sources = slices.DeleteFunc(s.bench.sources, func(other *source) bool { return other == s })
	return nil
}

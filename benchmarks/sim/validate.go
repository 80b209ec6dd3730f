package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/retry"
)

// FieldError is a field of a [System] that is wrong.
type FieldError struct {
	Field string // as in YAML, e.g. "faults[2].nodes"
	Value any
	Want  string
}

// Error implements error.
func (e *FieldError) Error() string { return fmt.Sprintf("%s %v: want %s", e.Field, e.Value, e.Want) }

// The bounds of a System.
const (
	maxNodes   = 10_000
	maxClients = 100_000
	maxRate    = 10_000_000
	maxMethods = 64
)

// problems collects what is wrong.
type problems []error

func (p *problems) check(ok bool, field string, value any, want string) {
	if !ok {
		*p = append(*p, &FieldError{field, value, want})
	}
}

// Validate returns all that is wrong, joined: [*FieldError]s, and what is wrong
// with the client's settings.
func (s System) Validate() error {
	s = s.WithDefaults()
	var p problems
	p.check(s.Nodes >= 1 && s.Nodes <= maxNodes, "nodes", s.Nodes, fmt.Sprintf("1 to %d", maxNodes))
	p.check(s.Clients >= 1 && s.Clients <= maxClients, "clients", s.Clients, fmt.Sprintf("1 to %d", maxClients))
	p.check(s.Rate > 0 && s.Rate <= maxRate, "rate", s.Rate, fmt.Sprintf("more than 0 and up to %d calls a second", maxRate))
	for i, g := range s.Surges {
		at := fmt.Sprintf("surges[%d]", i)
		p.check(g.From >= 0 && g.To > g.From, at, fmt.Sprintf("from %v to %v", g.From, g.To), "a time that begins before it ends")
		p.check(g.Times >= 0 && g.Times <= 1000, at+".times", g.Times, "0 to 1000")
	}
	p.check(len(s.Methods) <= maxMethods, "methods", len(s.Methods), fmt.Sprintf("at most %d", maxMethods))
	seen := map[string]bool{}
	for i, m := range s.Methods {
		m.validate(&p, fmt.Sprintf("methods[%d]", i))
		p.check(!seen[m.Name], fmt.Sprintf("methods[%d].name", i), m.Name, "a name that no other has")
		seen[m.Name] = true
	}
	s.Service.validate(&p)
	for _, d := range []struct {
		name string
		ok   bool
		v    any
	}{{"warm", s.Warm > 0, s.Warm}, {"fault", s.Fault > 0, s.Fault}, {"recover", s.Recover > 0, s.Recover}} {
		p.check(d.ok, d.name, d.v, "more than 0")
	}
	for i := range s.Faults {
		s.Faults[i].validate(&p, fmt.Sprintf("faults[%d]", i), s)
	}
	p.check(s.Client.Stack == Holdfast || slices.Contains(Peers(), s.Client.Stack), "client.stack", s.Client.Stack,
		Holdfast+" or "+strings.Join(Peers(), ", "))
	return errors.Join(append(p, s.Client.Settings.Validate())...)
}

func (m *Method) validate(p *problems, at string) {
	p.check(m.Share >= 0, at+".share", m.Share, "0 or more")
	p.check(m.Kind <= retry.NonIdempotent, at+".kind", m.Kind, "safe, idempotent, keyed or non-idempotent")
	p.check(m.Errors >= 0 && m.Errors <= 1, at+".errors", m.Errors, "0 to 1")
	p.check(m.Burst >= 1 && m.Burst <= 10_000, at+".burst", m.Burst, "1 to 10000")
	p.check(m.Slow > 0 && m.Slow <= 1000, at+".slow", m.Slow, "more than 0 and up to 1000")
}

func (s *Service) validate(p *problems) {
	p.check(s.Mean > 0, "service.mean", s.Mean, "more than 0")
	p.check(s.CV <= 100, "service.cv", s.CV, "up to 100 (negative: always the mean)")
	p.check(s.Workers >= 0, "service.workers", s.Workers, "0 (no bound) or more")
	p.check(s.Queue >= 0 && (s.Queue == 0 || s.Workers > 0), "service.queue", s.Queue, "0 or more, and workers besides")
	for i, d := range s.Sample {
		p.check(d >= 0, fmt.Sprintf("service.sample[%d]", i), d, "0 or more")
	}
}

func (f *Fault) validate(p *problems, at string, s System) {
	deeds := []Deed{Kill, Drain, Refuse, Stop, Cut, Sicken}
	p.check(slices.Contains(deeds, f.Do), at+".do", f.Do, fmt.Sprintf("one of %v", deeds))
	p.check(f.At >= 0 && f.At < s.Total(), at+".at", f.At, fmt.Sprintf("a time within the run's %v", s.Total()))
	p.check(f.For >= 0, at+".for", f.For, "0 (to the end) or more")
	for _, n := range f.Nodes {
		p.check(n >= 0 && n < s.Nodes, at+".nodes", n, fmt.Sprintf("0 to %d", s.Nodes-1))
	}
	p.check(f.Share >= 0 && f.Share <= 1 && (f.Share == 0 || f.Do == Cut), at+".clients", f.Share, "0 to 1, of a cut")
	p.check(f.Do == Sicken || f.illness() == illness{}, at+".do", f.Do, "sicken, where there is an illness")
	p.check(f.Slow == 0 || f.Slow >= 1 && f.Slow <= 1000, at+".slow", f.Slow, "1 to 1000 (0: as usual)")
	p.check(f.Errors >= 0 && f.Errors <= 1, at+".errors", f.Errors, "0 to 1")
	p.check(f.Lose >= 0 && f.Lose <= 1, at+".lose", f.Lose, "0 to 1")
	p.check(f.Capacity >= 0 && f.Capacity <= 1, at+".capacity", f.Capacity, "0 (all) to 1")
	p.check(f.Method == "" || slices.ContainsFunc(s.Methods, func(m Method) bool { return m.Name == f.Method }), at+".method", f.Method, "one of the methods")
	points := []harness.Point{"", harness.BeforeEffect, harness.AfterEffect, harness.AfterAnswer}
	p.check(slices.Contains(points, f.Die), at+".die", f.Die, fmt.Sprintf("one of %v", points[1:]))
}

// illness is what a node suffers from. The zero illness is health.
type illness struct {
	slow, errors, lose, capacity float64
	method                       string
	silent                       bool
	die                          harness.Point
}

func (f *Fault) illness() illness {
	return illness{slow: f.Slow, errors: f.Errors, lose: f.Lose, capacity: f.Capacity, method: f.Method, silent: f.Silent, die: f.Die}
}

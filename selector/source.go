package selector

import (
	"errors"
	"fmt"
	"slices"
)

// Source reports which nodes there are. One Source serves one Selector, which
// closes it.
type Source interface {
	// Watch starts watching and returns. It calls report with the whole set,
	// before it returns if that is known at once, and again whenever the set
	// changes; never concurrently. report(nil, err) says that the set could
	// not be read: the last good one stays in use. An empty set is not
	// believed either.
	Watch(report func([]Node, error)) error

	// Close ends the watch: no report begins after it has returned. One that
	// is under way may still end; the Selector does not believe it.
	Close() error
}

// Static is a set that does not change.
func Static(nodes ...Node) Source {
	s := static{slices.Clone(nodes), CheckNodes(nodes)}
	for i := range s.nodes {
		s.nodes[i].normalise()
	}
	return s
}

// Addrs is a static set of nodes that are known by their addresses alone.
func Addrs(addrs ...string) Source {
	nodes := make([]Node, len(addrs))
	for i, a := range addrs {
		nodes[i].Addr = a
	}
	return Static(nodes...)
}

// static is never changed: the selector hands out its nodes as they are.
type static struct {
	nodes []Node
	err   error
}

func (s static) Watch(report func([]Node, error)) error {
	if s.err == nil {
		report(s.nodes, nil)
	}
	return s.err
}

// Validate lets those who hold the source look before they watch.
func (s static) Validate() error { return s.err }

func (static) Close() error { return nil }

// CheckNodes returns all that is wrong with a set, joined: duplicate IDs,
// negative weights, nodes with neither ID nor Addr, an empty set.
func CheckNodes(nodes []Node) error {
	if len(nodes) == 0 {
		return errors.New("nodes: the set is empty")
	}
	var errs []error
	seen := make(map[string]int, len(nodes))
	for i, n := range nodes {
		id := n.identity()
		if id == "" && len(nodes) > 1 {
			errs = append(errs, fmt.Errorf("nodes[%d]: want an id or an addr", i))
			continue
		}
		if first, ok := seen[id]; ok {
			errs = append(errs, fmt.Errorf("nodes[%d]: duplicate of nodes[%d], id %q", i, first, id))
		}
		seen[id] = i
		if n.Weight < 0 || n.Weight > maxWeight {
			errs = append(errs, fmt.Errorf("nodes[%d] %q: weight %d: want 0 (means 1) to %d", i, id, n.Weight, maxWeight))
		}
	}
	return errors.Join(errs...)
}

const maxWeight = 1_000_000

func (n *Node) identity() string {
	if n.ID != "" {
		return n.ID
	}
	return n.Addr
}

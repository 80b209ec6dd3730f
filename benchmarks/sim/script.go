package sim

import (
	"cmp"
	"slices"
	"time"
)

// event is the beginning or the end of a fault.
type event struct {
	at    time.Duration
	begin bool
	fault int
}

// script schedules what happens to the nodes.
func (w *world) script() {
	var list []event
	for i, f := range w.sys.Faults {
		list = append(list, event{f.At, true, i})
		if f.For > 0 {
			list = append(list, event{f.At + f.For, false, i})
		}
	}
	// What ends at an instant does so before what begins.
	slices.SortStableFunc(list, func(a, b event) int {
		if c := cmp.Compare(a.at, b.at); c != 0 || a.begin == b.begin {
			return c
		}
		if b.begin {
			return -1
		}
		return 1
	})
	for _, e := range list {
		f := &w.sys.Faults[e.fault]
		w.clk.AfterFunc(e.at, func() {
			for _, i := range f.hits(w.sys.Nodes) {
				if n := &w.nodes[i]; e.begin {
					n.suffer(f, e.fault+1)
				} else {
					n.recover(f, e.fault+1)
				}
			}
		})
	}
}

// hits are the nodes of a fault.
func (f *Fault) hits(nodes int) []int {
	if len(f.Nodes) > 0 {
		return f.Nodes
	}
	all := make([]int, nodes)
	for i := range all {
		all[i] = i
	}
	return all
}

// lameDuck is how long a node that drains says so before it refuses.
const lameDuck = 200 * time.Millisecond

// suffer begins a fault. What is done to a process is nothing where there is
// none.
func (n *node) suffer(f *Fault, id int) {
	switch f.Do {
	case Kill:
		n.kill()
		return
	case Cut:
		if n.cut = f.Share; n.cut == 0 {
			n.cut = 1
		}
		return
	}
	if n.down > 0 {
		return
	}
	n.held[id] = n.process
	switch f.Do {
	case Drain:
		n.ending++
		n.w.clk.AfterFunc(lameDuck, func() {
			if p, ok := n.held[id]; ok && p == n.process {
				n.refuse()
			}
		})
	case Refuse:
		n.refuse()
	case Stop:
		n.stop()
	case Sicken:
		n.ill, n.illOf = f.illness(), id
		n.resize()
		if f.Die != "" {
			n.arm()
		}
	}
}

// recover ends it.
func (n *node) recover(f *Fault, id int) {
	switch f.Do {
	case Kill:
		n.revive()
		return
	case Cut:
		n.cut = 0
		n.tell()
		return
	}
	if process, ok := n.held[id]; !ok || process != n.process {
		return // it has ended since
	}
	delete(n.held, id)
	switch f.Do {
	case Drain: // another takes its place
		n.kill()
		n.revive()
	case Refuse:
		n.refusing--
	case Stop:
		n.resume()
	case Sicken:
		switch {
		case n.illOf == id:
			n.ill, n.illOf = illness{}, 0
			n.resize()
		case f.Die != "" && n.down > 0:
			n.revive()
		}
	}
}

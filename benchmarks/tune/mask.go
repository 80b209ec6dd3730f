package tune

import (
	"cmp"
	"slices"
	"time"
)

const (
	slotCalls   = 100.   // of a node, on average
	unlikely    = 1e-6   // of a slot, by chance
	maxSlots    = 20_000 //
	maskRounds  = 20
	leastIll    = 3 // failures in a slot
	shortestRun = 100 * time.Millisecond
)

// mask finds the incidents. Time is cut into slots; a node's slot is masked if
// so many failures in it are unlikely at the rate of those that are not. The
// rate starts as that of the better three quarters, and what is masked is found
// again with the rate that is left, until nothing changes.
func (m *measurement) mask() {
	m.f.Incidents = []Incident{}
	span := int64(m.f.Span)
	perNode := m.f.Rate / float64(m.f.Nodes)
	m.slot = max(int64(slotCalls/perNode*1e9), int64(shortestRun), span/maxSlots, 1)
	m.slots = int(span/m.slot) + 1
	type cell struct{ k, n float64 }
	cells := make([][]cell, m.f.Nodes)
	fleet := make([]cell, m.slots)
	m.masked = make([][]bool, m.f.Nodes)
	for i := range cells {
		cells[i], m.masked[i] = make([]cell, m.slots), make([]bool, m.slots)
	}
	var busy []cell
	for i := range m.set.Attempts {
		a, slot, failed, ok := m.says(int32(i))
		if !ok {
			continue
		}
		c := &cells[a.Node][slot]
		c.n += float64(a.Calls)
		fleet[slot].n += float64(a.Calls)
		if failed {
			c.k++
			fleet[slot].k++
		}
	}
	for _, row := range cells {
		for _, c := range row {
			if c.n > 0 {
				busy = append(busy, c)
			}
		}
	}
	if len(busy) == 0 {
		return
	}
	slices.SortFunc(busy, func(a, b cell) int { return cmp.Compare(a.k/a.n, b.k/b.n) })
	var k, n float64
	for _, c := range busy[:max(1, len(busy)*3/4)] {
		k, n = k+c.k, n+c.n
	}
	ill := func(c cell, rate float64) bool {
		return c.k >= leastIll && c.k/c.n > rate && poissonTail(int(c.k), c.n*rate) < unlikely
	}
	everywhere := make([]bool, m.slots)
	rate := 0.
	for range maskRounds {
		rate = max((k+1)/n, 1e-9)
		changed := false
		k, n = 0, 0
		for s := range everywhere { // also without its worst node
			rest, worst := fleet[s], cell{}
			for i := range cells {
				if c := cells[i][s]; c.k > worst.k {
					worst = c
				}
			}
			everywhere[s] = ill(cell{rest.k - worst.k, rest.n - worst.n}, rate)
		}
		for i, row := range cells {
			for s, c := range row {
				is := everywhere[s] || ill(c, rate)
				changed = changed || is != m.masked[i][s]
				m.masked[i][s] = is
				if !is {
					k, n = k+c.k, n+c.n
				}
			}
		}
		if !changed || n == 0 {
			break
		}
	}
	m.incidents("", everywhere, func(s int) (float64, float64) { return fleet[s].k, fleet[s].n })
	for i := range cells {
		alone := make([]bool, m.slots)
		for s := range alone {
			alone[s] = !everywhere[s] && ill(cells[i][s], rate)
		}
		m.incidents(m.set.Nodes[i], alone, func(s int) (float64, float64) { return cells[i][s].k, cells[i][s].n })
	}
	slices.SortStableFunc(m.f.Incidents, func(a, b Incident) int { return a.From.Compare(b.From) })
}

// incidents adds the stretches of slots that are ill.
func (m *measurement) incidents(node string, ill []bool, at func(slot int) (k, n float64)) {
	for s := 0; s < len(ill); s++ {
		if !ill[s] {
			continue
		}
		from := s
		var k, n float64
		for ; s < len(ill) && ill[s]; s++ {
			dk, dn := at(s)
			k, n = k+dk, n+dn
		}
		m.f.Incidents = append(m.f.Incidents, Incident{
			Node: node, From: time.Unix(0, m.begin+int64(from)*m.slot).UTC(), For: time.Duration(int64(s-from) * m.slot), Rate: k / n,
		})
	}
}

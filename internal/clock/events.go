package clock

// event is something that the loop of a Virtual can run next.
type event interface{ fire(v *Virtual) }

// timer is one event's place in the heap. It is embedded in what it belongs
// to, so arming it does not allocate.
type timer struct {
	pos   int // index in the heap + 1; 0 when not armed
	owner event
}

// due orders timers by instant, then by the order in which they were armed.
type due struct {
	at  int64
	seq uint64
	t   *timer
}

func (a due) before(b due) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// timers is a 4-ary min-heap whose members know their index, so that a
// cancelled timer leaves at once and nothing accumulates.
type timers struct {
	heap []due
	seq  uint64
}

// next returns the earliest instant, or forever.
func (h *timers) next() int64 {
	if len(h.heap) == 0 {
		return forever
	}
	return h.heap[0].at
}

// at returns when t is due, forever if it is not armed.
func (h *timers) at(t *timer) int64 {
	if t.pos == 0 {
		return forever
	}
	return h.heap[t.pos-1].at
}

// arm schedules an unarmed t. The instant forever never comes: it costs nothing.
func (h *timers) arm(t *timer, at int64) {
	if at == forever {
		return
	}
	h.seq++
	h.heap = append(h.heap, due{})
	h.up(len(h.heap)-1, due{at: at, seq: h.seq, t: t})
}

// disarm removes t if it is armed.
func (h *timers) disarm(t *timer) {
	if t.pos == 0 {
		return
	}
	i := t.pos - 1
	t.pos = 0
	n := len(h.heap) - 1
	last := h.heap[n]
	h.heap[n] = due{}
	h.heap = h.heap[:n]
	switch {
	case i == n:
	case i > 0 && last.before(h.heap[(i-1)/4]):
		h.up(i, last)
	default:
		h.down(i, last)
	}
}

// clear disarms all.
func (h *timers) clear() {
	for _, d := range h.heap {
		d.t.pos = 0
	}
	h.heap = nil
}

func (h *timers) set(i int, d due) {
	h.heap[i] = d
	d.t.pos = i + 1
}

// up places d at i or above.
func (h *timers) up(i int, d due) {
	for i > 0 {
		parent := (i - 1) / 4
		if !d.before(h.heap[parent]) {
			break
		}
		h.set(i, h.heap[parent])
		i = parent
	}
	h.set(i, d)
}

// down places d at i or below.
func (h *timers) down(i int, d due) {
	n := len(h.heap)
	for {
		least, c := d, i
		for k := 4*i + 1; k <= 4*i+4 && k < n; k++ {
			if h.heap[k].before(least) {
				least, c = h.heap[k], k
			}
		}
		if c == i {
			break
		}
		h.set(i, least)
		i = c
	}
	h.set(i, d)
}

// queue is a growing ring: the events of the present instant, in order.
type queue struct {
	ring []event // its length is a power of two
	head int
	n    int
}

func (q *queue) push(e event) {
	if q.n == len(q.ring) {
		grown := make([]event, max(16, 2*q.n))
		k := copy(grown, q.ring[q.head:])
		copy(grown[k:], q.ring[:q.head])
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = e
	q.n++
}

// pop must not be called on an empty queue.
func (q *queue) pop() event {
	e := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return e
}

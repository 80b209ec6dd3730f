package harness

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Course is the run in slices of equal length.
type Course struct {
	SliceMs  float64              `json:"sliceMs"`
	WarmMs   float64              `json:"warmMs"`  // the fault phase begins
	FaultMs  float64              `json:"faultMs"` // it ends
	TotalMs  float64              `json:"totalMs"` // the load ends
	Good     []int                `json:"good"`    // requests that were due in the slice and succeeded
	Failed   []int                `json:"failed"`  // that did not
	P99Ms    []*float64           `json:"p99Ms"`   // latency of those that were due in the slice; null: none
	Attempts map[string][]int     `json:"attempts"`
	Out      map[string][]float64 `json:"out"` // by node: share of the clients that had it ejected, at the end of the slice
}

const slice = 100 * time.Millisecond

// Course returns the run in slices.
func (r *Run) Course() Course {
	p := r.Plan
	n := int((p.Total() + slice - 1) / slice)
	c := Course{
		SliceMs: ms(slice), WarmMs: ms(p.Warm), FaultMs: ms(p.Warm + p.Fault), TotalMs: ms(p.Total()),
		Good: make([]int, n), Failed: make([]int, n), P99Ms: make([]*float64, n),
		Attempts: map[string][]int{}, Out: map[string][]float64{},
	}
	for _, node := range instanceNames(p.Nodes) {
		c.Attempts[node], c.Out[node] = make([]int, n), make([]float64, n)
	}
	r.shotsBySlice(&c)
	for _, rec := range r.Records {
		if i, ok := c.at(r.At(rec.At)); ok && rec.Kind == Begun {
			c.Attempts[rec.Node][i]++
		}
	}
	r.outBySlice(&c)
	return c
}

func (c *Course) at(t time.Duration) (i int, ok bool) {
	i = int(t / slice)
	return i, t >= 0 && i < len(c.Good)
}

func (r *Run) shotsBySlice(c *Course) {
	latencies := make([]*hdrhistogram.Histogram, len(c.Good))
	for i := range r.Shots {
		s := &r.Shots[i]
		at, ok := c.at(s.Due)
		if !ok {
			continue
		}
		if s.OK {
			c.Good[at]++
		} else {
			c.Failed[at]++
		}
		if s.Unsent {
			continue
		}
		if latencies[at] == nil {
			latencies[at] = newHistogram()
		}
		_ = latencies[at].RecordValue(clampMicros(s.Latency()))
	}
	for i, h := range latencies {
		if h != nil {
			p99 := quantileMs(h, 99)
			c.P99Ms[i] = &p99
		}
	}
}

func (r *Run) outBySlice(c *Course) {
	share := 1 / float64(r.Plan.Processes*r.Plan.Clients)
	for _, list := range r.Entries {
		out := map[[2]any]int{} // node and client: the slice in which it was ejected
		for _, e := range list {
			who := [2]any{e.Node, e.Client}
			at, ok := c.at(r.At(e.End))
			from, was := out[who]
			switch {
			case e.Kind == Ejected && ok && !was:
				out[who] = at
			case e.Kind == Readmitted && was:
				c.add(e.Node, from, min(at, len(c.Good)), share)
				delete(out, who)
			}
		}
		for who, from := range out {
			c.add(who[0].(string), from, len(c.Good), share)
		}
	}
}

func (c *Course) add(node string, from, to int, share float64) {
	if row := c.Out[node]; row != nil {
		for i := from; i < to; i++ {
			row[i] += share
		}
	}
}

package sim

import (
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// result sums up.
func (m *measure) result() *Result {
	r := &m.r
	for i, n := range m.waiting { // for ever
		r.Failed += n
		r.Course.Failed[i] += n
	}
	if m.dueIn > 0 {
		r.Amplification = float64(m.begunIn) / float64(m.dueIn)
	}
	r.P50Ms, r.P99Ms, r.P999Ms = quantileMs(m.window, 50), quantileMs(m.window, 99), quantileMs(m.window, 99.9)
	r.Baseline = map[string]float64{}
	if m.dueWarm > 0 {
		r.Baseline["amplification"] = float64(m.begunWarm) / float64(m.dueWarm)
	}
	if m.warm.TotalCount() > 0 {
		r.Baseline["p50Ms"], r.Baseline["p99Ms"], r.Baseline["p999Ms"] = quantileMs(m.warm, 50), quantileMs(m.warm, 99), quantileMs(m.warm, 99.9)
	}
	r.Latency = m.window
	m.recovery()
	m.times()
	m.drawCourse()
	return r
}

func quantileMs(h *hdrhistogram.Histogram, percent float64) float64 {
	return float64(h.ValueAtPercentile(percent)) / 1000
}

// recovery is what came after the fault.
func (m *measure) recovery() {
	for i := 0; i+10 <= len(m.attempts); i++ {
		attempts, good, due := 0, 0, 0
		for k := i; k < i+10; k++ {
			attempts, good, due = attempts+m.attempts[k], good+m.goodBy[k], due+m.dueBy[k]
		}
		m.r.Peak = max(m.r.Peak, float64(attempts)/m.w.sys.Rate)
		if m.r.RecoverMs == nil && float64(good) >= 0.95*float64(due) {
			at := millis(int64(i) * slice)
			m.r.RecoverMs = &at
		}
	}
}

// times are those to eject and to readmit.
func (m *measure) times() {
	var back []*float64
	for i := range m.sick {
		s := &m.sick[i]
		for c := range s.clients {
			out := since(s.out[c], s.from)
			m.r.TimesToEjectMs = append(m.r.TimesToEjectMs, out)
			if out != nil && s.to < int64(m.w.sys.Total()) {
				back = append(back, since(s.back[c], s.to))
			}
		}
	}
	m.r.TimeToEjectMs, m.r.TimeToReadmitMs = median(m.r.TimesToEjectMs), median(back)
}

func since(at, from int64) *float64 {
	if at == 0 {
		return nil
	}
	d := millis(at - 1 - from)
	return &d
}

// median is nil if there are none, or more than half never happened. Of an
// even number it is the lower one.
func median(list []*float64) *float64 {
	var have []float64
	for _, x := range list {
		if x != nil {
			have = append(have, *x)
		}
	}
	slices.Sort(have)
	if i := (len(list) - 1) / 2; len(list) > 0 && i < len(have) {
		return &have[i]
	}
	return nil
}

// drawCourse makes the course of what was counted.
func (m *measure) drawCourse() {
	c := &m.r.Course
	for i, list := range m.latencies {
		if len(list) > 0 {
			slices.Sort(list)
			p99 := float64(list[max(1, int(.99*float64(len(list))+.5))-1]) / 1000 // the rank that HdrHistogram takes
			c.P99Ms[i] = &p99
		}
	}
	for who, from := range m.isOut {
		m.span(who[1], from, len(m.latencies))
	}
	for i, row := range m.rows {
		if row < 0 {
			continue
		}
		c.Attempts[nodeName(i)] = m.courseAttempts[row]
		share, now := make([]float64, len(m.latencies)), 0.0
		for k := range share {
			now += m.out[row][k]
			share[k] = now / float64(m.w.sys.Clients)
		}
		c.Out[nodeName(i)] = share
	}
}

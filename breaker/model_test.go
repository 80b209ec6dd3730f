package breaker

import (
	"math"
	"math/rand/v2"
	"time"
)

// model is what a circuit should be, written without thought for speed: it
// keeps every call and looks at all of them each time.
type model struct {
	cfg   Config // with all fields given
	rand  *rand.Rand
	edges map[string]int

	state     State
	mode      Mode
	shadow    bool
	period    int // number of transitions so far
	history   []heard
	openUntil time.Time
	openings  int
	closedAt  time.Time
	ramping   bool
	rampBegan time.Time
	probes    map[*ticket]time.Time // until when each is leased
	passed    int
	wouldHave int
}

// heard is one result that counted.
type heard struct {
	at     time.Time
	failed bool
}

// ticket is the model's permit.
type ticket struct {
	period      int
	probe, void bool
}

func (m *model) edge(name string) { m.edges[name]++ }

func (m *model) draw() float64 { return float64(m.rand.Uint64()>>11) / (1 << 53) }

// enter changes the state and begins a period.
func (m *model) enter(s State) {
	m.edge(m.state.String() + "→" + s.String())
	m.state = s
	m.newPeriod()
}

func (m *model) newPeriod() {
	m.period++
	m.history, m.probes, m.passed, m.ramping = nil, map[*ticket]time.Time{}, 0, false
}

func (m *model) open(now time.Time) {
	if m.state == Closed && m.openings > 0 && !now.Before(m.closedAt.Add(m.cfg.OpenMax)) {
		m.openings = 0
		m.edge("openings forgotten")
	}
	base := m.cfg.OpenFor
	for range m.openings {
		base = min(2*base, m.cfg.OpenMax)
	}
	m.openings++
	spread := max(0, m.cfg.Spread)
	m.openUntil = now.Add(time.Duration(float64(base) * (1 - spread + 2*spread*m.draw())))
	m.enter(Open)
}

func (m *model) close(now time.Time) {
	if m.state != Closed {
		m.closedAt = now
	}
	m.enter(Closed)
}

// acquire returns a ticket, or nil and how long to wait.
func (m *model) acquire(now time.Time) (*ticket, time.Duration) {
	t, wait := m.admit(now)
	if t == nil && m.shadow {
		m.wouldHave++
		m.edge("shadow admits")
		return &ticket{void: true}, 0
	}
	return t, wait
}

func (m *model) admit(now time.Time) (*ticket, time.Duration) {
	plain := &ticket{period: m.period}
	switch {
	case m.mode == ForcedOpen:
		m.edge("rejected: forced")
		return nil, 0
	case m.mode == ForcedClosed:
		return plain, 0
	case m.state == Closed && !m.ramping:
		return plain, 0
	case m.state == Closed:
		since := now.Sub(m.rampBegan)
		share := 0.1 + 0.9*float64(since)/float64(m.cfg.Ramp)
		if since >= m.cfg.Ramp {
			m.ramping = false
			m.edge("ramp over")
			return plain, 0
		}
		if m.draw() < share {
			m.edge("admitted: ramp")
			return plain, 0
		}
		m.edge("rejected: ramp")
		return nil, min(max(m.cfg.Ramp/100, time.Millisecond), m.cfg.Ramp-since)
	case m.state == Open && now.Before(m.openUntil):
		m.edge("rejected: open")
		return nil, m.openUntil.Sub(now)
	case m.state == Open:
		m.enter(HalfOpen)
	}
	for t, until := range m.probes {
		if !now.Before(until) {
			delete(m.probes, t)
			m.edge("lease forfeited")
		}
	}
	if len(m.probes)+m.passed < m.cfg.Probes {
		t := &ticket{period: m.period, probe: true}
		m.probes[t] = now.Add(m.cfg.ProbeTimeout)
		m.edge("lease granted")
		return t, 0
	}
	first := time.Duration(math.MaxInt64)
	for _, until := range m.probes {
		first = min(first, until.Sub(now))
	}
	m.edge("rejected: half-open")
	return nil, first
}

// done takes the result of a call.
func (m *model) done(t *ticket, r Report, now time.Time) {
	if t.void {
		m.edge("shadow's result ignored")
		return
	}
	result := r.Result
	if result == Success && m.cfg.SlowCall > 0 && r.Elapsed >= m.cfg.SlowCall {
		result = Failure
		m.edge("slow success")
	}
	if m.mode != Auto {
		m.edge("result ignored: forced")
		return
	}
	switch m.state {
	case Open:
		m.edge(result.String() + " ignored: open")
	case Closed:
		stale := t.period != m.period
		if stale && result == Failure {
			m.edge("stale failure counted")
		}
		if stale && result == Success {
			m.edge("stale success ignored")
			return
		}
		if result != Ignored {
			m.hear(result == Failure, now)
		}
	case HalfOpen:
		until, leased := m.probes[t]
		if !leased || !now.Before(until) {
			m.edge(result.String() + " ignored: no lease")
			delete(m.probes, t)
			return
		}
		delete(m.probes, t)
		switch result {
		case Ignored:
			m.edge("lease returned")
		case Failure:
			m.edge("probe failed")
			m.open(now)
		case Success:
			m.edge("probe succeeded")
			if m.passed++; m.passed >= m.cfg.Probes {
				m.close(now)
				m.ramping, m.rampBegan = m.cfg.Ramp > 0, now
			}
		}
	}
}

func (m *model) hear(failed bool, now time.Time) {
	m.history = append(m.history, heard{now, failed})
	if failed && m.trips() {
		m.edge("by rule")
		if m.ramping {
			m.edge("by rule on the ramp")
		}
		m.open(now)
	}
}

// score goes through the whole history.
func (m *model) score() (score float64, calls, failures int) {
	switch r := m.cfg.Rule.(type) {
	case CUSUM:
		for _, h := range m.history {
			if h.failed {
				score += math.Log(r.Broken / r.Baseline)
			} else {
				score = max(0, score-math.Log((1-r.Baseline)/(1-r.Broken)))
			}
		}
		return score, 0, 0
	case Consecutive:
		for _, h := range m.history {
			if score++; !h.failed {
				score = 0
			}
		}
		return score, int(score), int(score)
	case Rate:
		if len(m.history) == 0 {
			return 0, 0, 0
		}
		step := func(i int) int64 {
			return m.history[i].at.UnixNano() / int64(r.Window/10)
		}
		for i, h := range m.history {
			if step(i) > step(len(m.history)-1)-10 {
				calls++
				if h.failed {
					failures++
				}
			}
		}
	case Count:
		for _, h := range m.history[max(0, len(m.history)-r.Size):] {
			calls++
			if h.failed {
				failures++
			}
		}
	}
	if calls == 0 {
		return 0, 0, 0
	}
	return float64(failures) / float64(calls), calls, failures
}

func (m *model) trips() bool {
	score, calls, _ := m.score()
	switch r := m.cfg.Rule.(type) {
	case CUSUM:
		return score >= math.Log(r.FalseAlarm)
	case Consecutive:
		return score >= float64(r.N)
	case Rate:
		return calls >= r.MinCalls && score >= r.Threshold
	case Count:
		return calls >= r.MinCalls && score >= r.Threshold
	}
	return false
}

func (m *model) trip(now time.Time) {
	if m.mode == Auto && m.state != Open {
		m.edge("trip while " + m.state.String())
		m.open(now)
	}
}

func (m *model) reset(now time.Time) {
	if m.mode != Auto {
		return
	}
	m.edge("reset while " + m.state.String())
	if m.state != Closed {
		m.close(now)
	}
	m.newPeriod()
	m.openings = 0
}

func (m *model) force(mode Mode, now time.Time) {
	if mode == m.mode {
		return
	}
	m.edge("force " + m.mode.String() + "→" + mode.String())
	m.mode = mode
	switch mode {
	case ForcedOpen:
		m.enter(Open)
	case ForcedClosed:
		m.close(now)
	case Auto:
		m.openUntil = now
		m.enter(m.state)
	}
}

package hystrix

import (
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// defect is one of the library's that makes a [Difference].
type defect uint8

const (
	oldSuccess defect = 1 << iota
	judgedWhenAsked
	lateErrors
	cancelled
	turnedAway
	probesStart
	probeCounts

	allDefects = 1<<iota - 1
)

var difference = map[defect]Difference{
	oldSuccess: OldSuccesses, judgedWhenAsked: JudgedWhenAsked, lateErrors: LateErrors, cancelled: CancelledCalls,
	turnedAway: TurnedAwayCalls, probesStart: ProbeStarts, probeCounts: ProbeCounts,
}

// outcome is what a call came to, as hystrix tells them apart.
type outcome string

const (
	succeeded      outcome = "success"
	failed         outcome = "failure"
	wasCancelled   outcome = "context_canceled"
	wasRejected    outcome = "rejected"      // the pool was full
	shortCircuited outcome = "short-circuit" // the circuit was open, and the fallback has ended
)

// model is the reference: with all defects it is the library's circuit, with
// none the native breaker, and with some the library cured of the others. It is
// a value: a copy of it can be asked what would happen.
type model struct {
	set     settings
	defects defect

	state    breaker.State
	period   int       // how often the state changed
	since    time.Time // open: when the sleep window began; half-open: when the probe was let through
	probe    int       // half-open: number of the probe that is out; 0: none
	last     int       // number of the last probe
	requests rolling
	errors   rolling // within requests, unless they are late
}

// ticket is a call that the model has admitted, or turned away.
type ticket struct {
	admitted bool
	period   int
	probe    int // its number; 0: it is none
}

func (m *model) has(d defect) bool { return m.defects&d != 0 }

// over reports whether more than d has passed since m.since.
func (m *model) over(now time.Time, d time.Duration) bool { return now.Sub(m.since) > d }

// due is when over will be true.
func (m *model) due() time.Time {
	if m.state == breaker.HalfOpen && !m.has(probesStart) {
		return m.since.Add(m.set.lease())
	}
	return m.since.Add(m.set.sleep)
}

func (m *model) enter(s breaker.State) {
	m.state, m.probe = s, 0
	m.period++
}

func (m *model) open(now time.Time) {
	m.enter(breaker.Open)
	m.since = now
}

// ask asks whether a call may pass.
func (m *model) ask(now time.Time) ticket {
	if m.state == breaker.Closed && m.has(judgedWhenAsked) && m.ill(now) {
		m.open(now)
	}
	switch m.state {
	case breaker.Closed:
		return ticket{admitted: true, period: m.period}
	case breaker.Open:
		if !m.over(now, m.set.sleep) {
			return ticket{}
		}
		m.enter(breaker.HalfOpen)
	case breaker.HalfOpen:
		patience := m.set.lease()
		if m.has(probesStart) {
			patience = m.set.sleep
		}
		if m.probe != 0 && !m.over(now, patience) {
			return ticket{}
		}
	}
	m.last++
	m.probe, m.since = m.last, now
	return ticket{admitted: true, period: m.period, probe: m.probe}
}

// old reports whether the call's success is old news.
func (m *model) old(t ticket, now time.Time) bool {
	switch m.state {
	case breaker.Closed:
		return t.period != m.period
	case breaker.HalfOpen:
		return !m.decides(t, now)
	}
	return true
}

// decides reports whether the call is the probe that is out.
func (m *model) decides(t ticket, now time.Time) bool {
	if m.state != breaker.HalfOpen || t.probe == 0 || t.probe != m.probe {
		return false
	}
	return m.has(oldSuccess) || !m.over(now, m.set.lease())
}

// report says what became of a call.
func (m *model) report(t ticket, o outcome, now time.Time) {
	switch {
	case o == wasCancelled && m.has(cancelled):
		m.count(now, false)
	case (o == wasRejected || o == shortCircuited) && m.has(turnedAway):
		m.count(now, true)
	case o == wasCancelled || o == wasRejected:
		if m.decides(t, now) {
			m.probe = 0 // and the next is
		}
	case o == succeeded:
		switch {
		case !m.has(oldSuccess) && m.old(t, now):
		case m.state == breaker.Closed:
			m.count(now, false)
		default:
			m.enter(breaker.Closed)
			m.requests, m.errors = rolling{}, rolling{}
			if m.has(probeCounts) {
				m.count(now, false)
			}
		}
	case o == failed && m.decides(t, now):
		started := m.since
		m.open(now)
		if m.has(probesStart) {
			m.since = started
		}
	case o == failed && m.state == breaker.Closed:
		m.count(now, true)
		if !m.has(judgedWhenAsked) && m.ill(now) {
			m.open(now)
		}
	}
}

// count takes a result on record. While the circuit is not closed that is in
// vain.
func (m *model) count(now time.Time, isError bool) {
	if m.state != breaker.Closed {
		return
	}
	second := now.Unix()
	m.requests.add(second, 1)
	switch {
	case isError:
		m.errors.add(second, 1)
	case !m.has(lateErrors):
		m.errors.add(second, 0) // forgets what the requests have forgotten
	}
}

func (m *model) ill(now time.Time) bool {
	requests, errors := m.requests.sum(now.Unix()), m.errors.sum(now.Unix())
	if requests < m.set.volume {
		return false
	}
	return int(float64(errors)/float64(requests)*100+0.5) >= m.set.errPercent
}

// rolling is a number by the second, for ten seconds as of the last addition.
type rolling struct {
	n       int
	buckets [11]struct {
		second int64
		value  int
	}
}

func (r *rolling) add(second int64, value int) {
	kept := 0
	for _, b := range r.buckets[:r.n] {
		if b.second > second-10 {
			r.buckets[kept] = b
			kept++
		}
	}
	r.n = kept
	if kept == 0 || r.buckets[kept-1].second != second {
		r.buckets[kept].second, r.buckets[kept].value = second, 0
		r.n++
	}
	r.buckets[r.n-1].value += value
}

func (r *rolling) sum(second int64) (sum int) {
	for _, b := range r.buckets[:r.n] {
		if b.second >= second-10 {
			sum += b.value
		}
	}
	return sum
}

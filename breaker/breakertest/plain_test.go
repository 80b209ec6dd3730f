package breakertest

import (
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// plain is an engine written without thought for speed: failures in a row, a
// fixed open time, leased probes. Each of its flaws is a mistake that an
// engine can make.
type plain struct {
	Subject
	flaw string
	tell func(from, to breaker.State)

	mu      chan struct{} // a mutex that a bubble sees through
	state   breaker.State
	row     int // failures, in a row
	until   time.Time
	period  uint64 // transitions so far
	passed  int
	serial  uint64
	probes  map[uint64]time.Time // until when each is leased
	forgot  map[uint64]bool      // forfeited in this period
	queue   []turn
	telling bool
	window  time.Time // when the period's results were last forgotten
	garbage *[64]byte
	shared  *int
}

// newPlain returns the maker of breakers with a flaw; "" has none.
func newPlain(s Subject, flaw string) func(func(from, to breaker.State)) breaker.Breaker {
	shared := 0
	return func(tell func(from, to breaker.State)) breaker.Breaker {
		b := &plain{Subject: s, flaw: flaw, tell: tell, mu: make(chan struct{}, 1), probes: map[uint64]time.Time{}, forgot: map[uint64]bool{}, shared: &shared}
		if flaw == "spawns" {
			go func() { select {} }()
		}
		if flaw == "cannot be tripped" {
			return struct {
				breaker.Breaker
				breaker.Settler
			}{b, b}
		}
		return b
	}
}

func (b *plain) lock() { b.mu <- struct{}{} }

// unlock tells what has happened, outside the lock.
func (b *plain) unlock() {
	<-b.mu
	for {
		b.lock()
		if b.telling || len(b.queue) == 0 {
			<-b.mu
			return
		}
		t := b.queue[0]
		b.queue, b.telling = b.queue[1:], true
		<-b.mu
		b.deliver(t)
	}
}

func (b *plain) deliver(t turn) {
	ok := false
	defer func() {
		if b.flaw == "dies with its listener" && !ok {
			return
		}
		b.lock()
		b.telling = false
		<-b.mu
	}()
	b.tell(t.from, t.to)
	ok = true
}

func (b *plain) turn(to breaker.State) {
	t := turn{b.state, to}
	b.state, b.row, b.passed = to, 0, 0
	b.period++
	clear(b.probes)
	clear(b.forgot)
	switch b.flaw {
	case "tells nobody":
	case "tells under its lock":
		b.tell(t.from, t.to)
	case "tells twice":
		b.queue = append(b.queue, t, t)
	case "tells the latest first":
		b.queue = append([]turn{t}, b.queue...)
	case "does not tell of half-open":
		if to != breaker.HalfOpen {
			b.queue = append(b.queue, t)
		}
	default:
		b.queue = append(b.queue, t)
	}
}

func (b *plain) open(now time.Time) {
	b.until = now.Add(b.OpenFor)
	b.turn(breaker.Open)
}

func (b *plain) State() breaker.State {
	b.lock()
	defer func() { <-b.mu }()
	if b.flaw == "its state follows the clock" && b.state == breaker.Open && !clock.System.Now().Before(b.until) {
		return breaker.HalfOpen
	}
	return b.state
}

// A token is the period, or for a probe its number, over the low bit, which
// marks probes.
func (b *plain) TryAcquire(now time.Time) (breaker.Permit, time.Duration, bool) {
	if b.flaw == "reads its own clock" {
		now = clock.System.Now()
	}
	b.lock()
	defer b.unlock()
	switch b.flaw {
	case "allocates":
		b.garbage = new([64]byte)
	case "rejects when busy":
		if b.serial++; b.serial%50 == 0 {
			return breaker.Permit{}, 1, false
		}
	case "stays open":
		b.until = now.Add(time.Second)
	case "is never open":
		b.until = now
	case "drops slow failures":
		b.roll(now)
	case "shares":
		if *b.shared >= b.Failures {
			return breaker.Permit{}, 1, false
		}
	}
	switch {
	case b.state == breaker.Closed:
		return b.permit(b.period << 1)
	case b.state == breaker.Open && now.Before(b.until):
		wait := b.until.Sub(now)
		switch b.flaw {
		case "tells no delay":
			wait = 0
		case "tells the whole delay":
			wait = b.OpenFor
		case "rejects with a permit":
			return breaker.NewPermit(b, 0), wait, false
		}
		return breaker.Permit{}, wait, false
	case b.state == breaker.Open:
		b.turn(breaker.HalfOpen)
	}
	if b.flaw != "wedges" {
		for n, until := range b.probes {
			if !now.Before(until) {
				delete(b.probes, n)
				b.forgot[n] = true
			}
		}
	}
	room := b.Probes - len(b.probes) - b.passed
	switch b.flaw {
	case "one probe too many":
		room++
	case "one probe too few":
		room--
	case "checks, then acts":
		<-b.mu
		<-time.After(1)
		b.lock()
	}
	if room <= 0 {
		return breaker.Permit{}, b.ProbeTimeout, false
	}
	b.serial++
	b.probes[b.serial] = now.Add(b.ProbeTimeout)
	return b.permit(b.serial<<1 | 1)
}

func (b *plain) permit(token uint64) (breaker.Permit, time.Duration, bool) {
	return breaker.NewPermit(b, token), 0, true
}

func (b *plain) Settle(token uint64, r breaker.Report) {
	now := clock.System.Now()
	b.lock()
	defer b.unlock()
	if b.flaw == "takes success for failure" && r.Result == breaker.Success {
		r.Result = breaker.Failure
	}
	if b.flaw == "takes ignored for success" && r.Result == breaker.Ignored {
		r.Result = breaker.Success
	}
	if b.flaw == "takes ignored for failure" && r.Result == breaker.Ignored {
		r.Result = breaker.Failure
	}
	if b.flaw == "drops slow failures" {
		b.roll(now)
	}
	number, probe := token>>1, token&1 > 0
	switch b.state {
	case breaker.Closed:
		b.settleClosed(!probe && number == b.period, r.Result, now)
		if b.flaw == "counts twice" && b.state == breaker.Closed {
			b.settleClosed(!probe && number == b.period, r.Result, now)
		}
	case breaker.Open:
		if b.flaw == "a late success closes it" && r.Result == breaker.Success {
			b.turn(breaker.Closed)
		}
	case breaker.HalfOpen:
		until, leased := b.probes[number]
		leased = leased && probe && now.Before(until)
		switch b.flaw {
		case "hears forfeited successes":
			leased = leased || probe && r.Result == breaker.Success && b.forgot[number]
		case "hears forfeited failures":
			leased = leased || probe && r.Result == breaker.Failure && b.forgot[number]
		case "takes any success for a probe's":
			leased = leased || r.Result == breaker.Success
		case "takes any failure for a probe's":
			leased = leased || r.Result == breaker.Failure
		case "takes an old probe for a new one":
			leased = leased || probe && !b.forgot[number]
		}
		if leased {
			b.settleProbe(number, r.Result, now)
		}
	}
}

// roll forgets what the clock has outrun.
func (b *plain) roll(now time.Time) {
	if b.state == breaker.Closed && now.Sub(b.window) > 10*time.Minute {
		b.window, b.row = now, 0
		b.period++
	}
}

func (b *plain) settleClosed(fresh bool, result breaker.Result, now time.Time) {
	switch {
	case result == breaker.Failure && !fresh && (b.flaw == "drops stale failures" || b.flaw == "drops slow failures"):
	case result == breaker.Failure:
		b.row++
		*b.shared++
		limit := b.Failures
		switch b.flaw {
		case "opens late":
			limit++
		case "opens early":
			limit--
		}
		if b.row >= limit && b.flaw != "never opens by itself" {
			b.open(now)
		}
	case result == breaker.Success && (fresh || b.flaw == "stale successes excuse"):
		if b.flaw != "never forgets failures" {
			b.row, *b.shared = 0, 0
		}
	}
}

func (b *plain) settleProbe(number uint64, result breaker.Result, now time.Time) {
	if b.flaw != "keeps an ignored probe's place" || result != breaker.Ignored {
		delete(b.probes, number)
	}
	switch result {
	case breaker.Failure:
		if b.flaw != "forgives a probe" {
			b.open(now)
		}
	case breaker.Success:
		b.passed++
		if b.flaw == "counts probes twice" {
			b.passed++
		}
		if b.passed >= b.Probes || b.flaw == "closes at the first success" {
			b.turn(breaker.Closed)
			if b.flaw == "keeps its record" {
				b.row = b.Failures - 1
			}
		}
	}
}

func (b *plain) Trip(breaker.Reason) {
	now := clock.System.Now()
	b.lock()
	defer b.unlock()
	switch {
	case b.state == breaker.Open && b.flaw == "trips again":
		b.until = now.Add(b.OpenFor)
	case b.state == breaker.HalfOpen && b.flaw == "does not trip when half-open":
	case b.state != breaker.Open:
		b.open(now)
		if b.flaw == "trips in silence" {
			b.queue = b.queue[:len(b.queue)-1]
		}
	}
}

func (b *plain) Reset(breaker.Reason) {
	b.lock()
	defer b.unlock()
	if b.state != breaker.Closed {
		b.turn(breaker.Closed)
	}
	b.period++
	if b.flaw != "does not forget by Reset" {
		b.row = 0
	}
}

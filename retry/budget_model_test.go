package retry_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// ledger is the reference model: it remembers all that happened and works the
// balance out from the beginning each time.
type ledger struct {
	opened  retry.BudgetConfig // settings at the beginning; no field is zero
	entries []entry
}

// entry is one thing that happened: new settings, a retry taken (−1) or given
// back (+1), or a look at the counter of successes.
type entry struct {
	cfg       *retry.BudgetConfig
	delta     float64
	seconds   float64 // since the last look
	successes float64 // since the last look
}

func (l *ledger) sum() (tokens, most float64, capped int) {
	cfg := l.opened
	tokens = cfg.Floor * cfg.Window.Seconds()
	var rate, observed float64 // successes a second, over so many seconds
	for _, e := range l.entries {
		switch {
		case e.cfg != nil:
			cfg = *e.cfg
		case e.delta != 0:
			tokens += e.delta
		default:
			window := cfg.Window.Seconds()
			if before := observed; before+e.seconds < window { // a plain average of all
				observed += e.seconds
				rate = (rate*before + e.successes) / observed
			} else { // the past fades
				observed = window
				old := math.Exp(-e.seconds / window)
				rate = old*rate + (1-old)*e.successes/e.seconds
			}
			tokens += cfg.Share*e.successes + cfg.Floor*e.seconds
		}
		most = max(1, (cfg.Share*rate+cfg.Floor)*cfg.Window.Seconds())
		if tokens > most+1e-6 {
			capped++
		}
		tokens = min(tokens, most)
	}
	return tokens, most, capped
}

// counter is a source of successes that may step back or be reset.
type counter struct {
	now, mark uint64
}

// unseen returns the successes that count since the last look.
func (c *counter) unseen() float64 {
	if c.now < c.mark/2 {
		c.mark = c.now
	}
	if c.now <= c.mark {
		return 0
	}
	n := c.now - c.mark
	c.mark = c.now
	return float64(n)
}

// TestBudgetModel plays random histories against the ledger, with every kind
// of transition often enough to matter.
func TestBudgetModel(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range uint64(400) {
		playBudget(t, rand.New(rand.NewPCG(seed, 4)), seen)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Log(seen)
	for kind, least := range map[string]int{
		"granted": 5000, "denied": 5000, "capped": 1000, "granted of the floor alone": 300, "stale": 1000,
		"step back": 500, "reset": 500, "returned": 1000, "update": 500, "time backwards": 300,
	} {
		if seen[kind] < least {
			t.Errorf("%s: %d times, want at least %d", kind, seen[kind], least)
		}
	}
}

func randomSettings(rng *rand.Rand) retry.BudgetConfig {
	return retry.BudgetConfig{
		Share:  []float64{.01, .2, 1, 10}[rng.IntN(4)],
		Floor:  []float64{.05, 2, 20}[rng.IntN(3)],
		Window: []time.Duration{50 * ms, time.Second, 10 * time.Second}[rng.IntN(3)],
	}
}

func playBudget(t *testing.T, rng *rand.Rand, seen map[string]int) {
	t.Helper()
	cfg := randomSettings(rng)
	successes := &counter{now: rng.Uint64N(1000)}
	successes.mark = successes.now
	withSource := cfg
	withSource.Successes = func() uint64 { return successes.now }
	b, model := newBudget(t, withSource), &ledger{opened: cfg}
	now, looked := start, start
	fromFloor := false // nothing but the floor was earned since the last denial

	look := func() {
		dt := now.Sub(looked)
		if dt < 0 {
			seen["time backwards"]++
		}
		if tokens, _, _ := model.sum(); dt <= 0 || tokens >= 1 && dt < cfg.Window/1000 {
			seen["stale"]++
			return
		}
		looked = now
		n := successes.unseen()
		fromFloor = fromFloor && n == 0
		model.entries = append(model.entries, entry{seconds: dt.Seconds(), successes: n})
	}
	for range 120 {
		switch rng.IntN(12) {
		case 0, 1:
			now = now.Add(time.Duration(rng.Int64N(int64(3 * time.Second))))
		case 2:
			now = now.Add(time.Duration(rng.Int64N(int64(20 * time.Microsecond))))
		case 3:
			now = now.Add(-time.Duration(rng.Int64N(int64(ms))))
		case 4:
			successes.now += rng.Uint64N(200)
		case 5:
			switch rng.IntN(2) {
			case 0:
				seen["step back"]++
				successes.now -= min(successes.now/4, rng.Uint64N(5))
			default:
				seen["reset"]++
				successes.now = 0
			}
		case 6:
			seen["returned"]++
			b.Return()
			model.entries = append(model.entries, entry{delta: +1})
		case 7:
			seen["update"]++
			next := randomSettings(rng)
			if err := b.Update(next); err != nil {
				t.Fatal(err)
			}
			cfg = next
			model.entries = append(model.entries, entry{cfg: &next})
		default:
			look()
			want, _, _ := model.sum()
			got := b.Take(now)
			if got != (want >= 1) && math.Abs(want-1) > 1e-6 {
				t.Errorf("granted: %v, with %v in the ledger", got, want)
				return
			}
			if !got {
				seen["denied"]++
				fromFloor = true
				continue
			}
			seen["granted"]++
			if fromFloor {
				seen["granted of the floor alone"]++
				fromFloor = false
			}
			model.entries = append(model.entries, entry{delta: -1})
		}
	}
	look()
	tokens, most := b.Balance(now)
	wantTokens, wantMost, capped := model.sum()
	seen["capped"] += capped
	if math.Abs(tokens-wantTokens) > 1e-6*(1+wantTokens) || math.Abs(most-wantMost) > 1e-6*(1+wantMost) {
		t.Errorf("balance %v of %v, want %v of %v", tokens, most, wantTokens, wantMost)
	}
}

// TestBudgetBound is the promise, over every stretch of a run: no more retries
// than what was saved, a share of the successes and the floor.
func TestBudgetBound(t *testing.T) {
	t.Parallel()
	type instant struct {
		at        time.Time
		successes uint64
		granted   int
		saved     float64
	}
	stretches := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 5))
		cfg := randomSettings(rng)
		var successes uint64
		granted := 0
		cfg.Successes = func() uint64 { return successes }
		b := newBudget(t, cfg)
		var instants []instant
		now := start
		for range 150 {
			// What came in within a thousandth of the window may not be in
			// the balance yet: stretches begin when it is.
			now = now.Add(cfg.Window/1000 + time.Duration(rng.Int64N(int64(500*ms))))
			tokens, _ := b.Balance(now)
			instants = append(instants, instant{now, successes, granted, tokens})
			successes += rng.Uint64N(100)
			for range rng.IntN(60) {
				now = now.Add(time.Duration(rng.Int64N(int64(ms))))
				if b.Take(now) {
					granted++
				}
			}
		}
		for i, from := range instants {
			for _, to := range instants[i:] {
				stretches++
				bound := from.saved + cfg.Share*float64(to.successes-from.successes) + cfg.Floor*to.at.Sub(from.at).Seconds()
				if n := to.granted - from.granted; float64(n) > bound+1e-6 {
					t.Fatalf("seed %d, %+v: %d retries from %v to %v, want at most %v", seed, cfg, n, from.at, to.at, bound)
				}
			}
		}
		if granted == 0 {
			t.Errorf("seed %d: nothing was granted", seed)
		}
	}
	if stretches < 100_000 {
		t.Errorf("only %d stretches", stretches)
	}
}

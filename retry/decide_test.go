package retry_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

var errHook = errors.New("the hook's own")

func never(retry.Try) (bool, error)   { return false, nil }
func failing(retry.Try) (bool, error) { return true, errHook }

// question is one that is granted; a row changes what it is about.
func question(change func(*retry.Question)) retry.Question {
	q := retry.Question{
		Try:      retry.Try{Method: "m", Idempotency: retry.Safe, Attempt: 1, Effect: retry.Possible, Again: true, Err: errors.New("no answer")},
		Max:      3,
		Wait:     10 * time.Millisecond,
		Deadline: true,
		Left:     time.Second,
		Need:     100 * time.Millisecond,
	}
	change(&q)
	return q
}

func TestDecide(t *testing.T) {
	t.Parallel()
	type q = retry.Question
	tests := []struct {
		name   string
		change func(*q)
		want   retry.Reason
		err    error
	}{
		{"all is well", func(*q) {}, retry.Granted, nil},
		{"idempotent", func(q *q) { q.Idempotency = retry.Idempotent }, retry.Granted, nil},
		{"keyed", func(q *q) { q.Idempotency = retry.Keyed }, retry.Granted, nil},
		{"unspecified", func(q *q) { q.Idempotency = retry.Unspecified }, retry.NotRepeatable, nil},
		{"non-idempotent", func(q *q) { q.Idempotency = retry.NonIdempotent }, retry.NotRepeatable, nil},
		{"an idempotency nobody declared", func(q *q) { q.Idempotency = 200 }, retry.NotRepeatable, nil},
		{"unspecified, not sent", func(q *q) { q.Idempotency, q.Effect = retry.Unspecified, retry.None }, retry.Granted, nil},
		{"non-idempotent, not sent", func(q *q) { q.Idempotency, q.Effect = retry.NonIdempotent, retry.None }, retry.Granted, nil},
		{"answered for good", func(q *q) { q.Effect, q.Again = retry.Answered, false }, retry.Final, nil},
		{"answered, and may change", func(q *q) { q.Idempotency, q.Effect = retry.NonIdempotent, retry.Answered }, retry.Granted, nil},

		{"hook: always", func(q *q) { q.Hook = retry.Always }, retry.Granted, nil},
		{"hook: always, of a final answer", func(q *q) { q.Hook, q.Effect, q.Again = retry.Always, retry.Answered, false }, retry.Granted, nil},
		{"hook: always, in doubt", func(q *q) { q.Hook, q.Idempotency = retry.Always, retry.NonIdempotent }, retry.NotRepeatable, nil},
		{"hook: on error", func(q *q) { q.Hook = retry.OnError }, retry.Granted, nil},
		{"hook: on error, of a final answer", func(q *q) { q.Hook, q.Again = retry.OnError, false }, retry.Final, nil},
		{"hook: never", func(q *q) { q.Hook = never }, retry.Stopped, nil},
		{"hook: never, of a final answer", func(q *q) { q.Hook, q.Again = never, false }, retry.Final, nil},
		{"hook: error", func(q *q) { q.Hook = failing }, retry.Stopped, errHook},

		{"last attempt but one", func(q *q) { q.Attempt = 2 }, retry.Granted, nil},
		{"last attempt", func(q *q) { q.Attempt = 3 }, retry.Exhausted, nil},
		{"beyond the last", func(q *q) { q.Attempt = 4 }, retry.Exhausted, nil},
		{"no attempts at all", func(q *q) { q.Max = 0 }, retry.Exhausted, nil},

		{"back-off says stop", func(q *q) { q.Wait = -1 }, retry.Stopped, nil},
		{"no wait", func(q *q) { q.Wait = 0 }, retry.Granted, nil},
		{"fits by a nanosecond", func(q *q) { q.Left = 110*time.Millisecond + 1 }, retry.Granted, nil},
		{"fits exactly, which is too late", func(q *q) { q.Left = 110 * time.Millisecond }, retry.OutOfTime, nil},
		{"the wait alone is too long", func(q *q) { q.Need, q.Wait = 0, time.Second }, retry.OutOfTime, nil},
		{"unknown need", func(q *q) { q.Need, q.Left = 0, 10*time.Millisecond+1 }, retry.Granted, nil},
		{"deadline is over", func(q *q) { q.Need, q.Wait, q.Left = 0, 0, -time.Second }, retry.OutOfTime, nil},
		{"no deadline", func(q *q) { q.Deadline, q.Left = false, 0 }, retry.Granted, nil},
		{"no deadline, endless wait", func(q *q) { q.Deadline, q.Wait = false, math.MaxInt64 }, retry.Granted, nil},
		{"endless wait", func(q *q) { q.Wait = math.MaxInt64 }, retry.OutOfTime, nil},

		// What is asked first wins.
		{"not repeatable before exhausted", func(q *q) { q.Idempotency, q.Attempt = retry.NonIdempotent, 3 }, retry.NotRepeatable, nil},
		{"final before not repeatable", func(q *q) { q.Idempotency, q.Again = retry.NonIdempotent, false }, retry.Final, nil},
		{"stopped before not repeatable", func(q *q) { q.Idempotency, q.Hook = retry.NonIdempotent, never }, retry.Stopped, nil},
		{"exhausted before stopped", func(q *q) { q.Attempt, q.Wait = 3, -1 }, retry.Exhausted, nil},
		{"exhausted before out of time", func(q *q) { q.Attempt, q.Left = 3, 0 }, retry.Exhausted, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := retry.Decide(question(tt.change))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestDecideShowsTheTryToTheHook: a hook decides by what the attempt came to.
func TestDecideShowsTheTryToTheHook(t *testing.T) {
	t.Parallel()
	q := question(func(*retry.Question) {})
	var seen retry.Try
	q.Hook = func(t retry.Try) (bool, error) { seen = t; return true, nil }
	if why, err := retry.Decide(q); why != retry.Granted || err != nil {
		t.Fatal(why, err)
	}
	if seen != q.Try {
		t.Errorf("the hook saw %+v, want %+v", seen, q.Try)
	}
}

// TestNeverTwice is the promise: whatever a hook says and whatever else is
// asked, an attempt in doubt is not repeated unless the call is declared
// repeatable; and every grant can be accounted for.
func TestNeverTwice(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	durations := []time.Duration{math.MinInt64, -time.Second, -1, 0, 1, time.Millisecond, time.Second, math.MaxInt64}
	pick := func() time.Duration { return durations[rng.IntN(len(durations))] }
	hooks := []retry.Hook{
		nil, retry.Always, retry.OnError, never, failing,
		func(retry.Try) (bool, error) { return rng.IntN(2) == 0, nil },
	}
	seen := map[retry.Reason]int{}
	inDoubt := 0
	for range 200_000 {
		q := retry.Question{
			Try: retry.Try{
				Idempotency: retry.Idempotency(rng.UintN(7)), Attempt: rng.IntN(5),
				Effect: retry.Effect(rng.UintN(4)), Again: rng.IntN(2) == 0,
			},
			Hook: hooks[rng.IntN(len(hooks))], Max: rng.IntN(6) - 1,
			Wait: pick(), Left: pick(), Deadline: rng.IntN(2) == 0, Need: max(pick(), 0),
		}
		why, err := retry.Decide(q)
		seen[why]++
		if err != nil && why != retry.Stopped {
			t.Fatalf("%+v: %v with error %v", q, why, err)
		}
		if q.Effect == retry.Possible && !q.Idempotency.Repeatable() {
			inDoubt++
			if why == retry.Granted {
				t.Fatalf("granted in doubt: %+v", q)
			}
		}
		if why != retry.Granted {
			continue
		}
		switch {
		case q.Attempt >= q.Max, q.Wait < 0, q.Hook == nil && !q.Again:
			t.Fatalf("granted: %+v", q)
		case q.Deadline && float64(q.Wait)+float64(q.Need) > float64(q.Left):
			t.Fatalf("granted past the deadline: %+v", q)
		}
	}
	for _, why := range []retry.Reason{retry.Granted, retry.Final, retry.NotRepeatable, retry.Stopped, retry.Exhausted, retry.OutOfTime} {
		if seen[why] < 1000 {
			t.Errorf("%v came up only %d times", why, seen[why])
		}
	}
	if inDoubt < 10_000 {
		t.Errorf("only %d questions in doubt", inDoubt)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct{ got, want string }{
		{retry.Granted.String(), "granted"},
		{retry.OverBudget.String(), "retry budget exhausted"},
		{retry.Reason(99).String(), "Reason(99)"},
		{retry.Possible.String(), "possible"},
		{retry.None.String(), "none"},
		{retry.Answered.String(), "answered"},
		{retry.Effect(99).String(), "Effect(99)"},
		{retry.NonIdempotent.String(), "non-idempotent"},
		{retry.Idempotency(99).String(), "Idempotency(99)"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

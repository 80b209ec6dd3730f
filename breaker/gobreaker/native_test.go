package gobreaker

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

func TestNative(t *testing.T) {
	fixed := func(rule breaker.Rule, openFor time.Duration, probes int) breaker.Config {
		return breaker.Config{
			Rule: rule, OpenFor: openFor + 1, OpenMax: openFor + 1, Spread: -1, Ramp: -1, Probes: probes, ProbeTimeout: 10 * time.Second,
		}
	}
	always := []Difference{LostProbes, DroppedFailures}
	for _, tt := range []struct {
		name    string
		st      sony.Settings
		want    breaker.Config
		differs []Difference
	}{
		{"zero", sony.Settings{}, fixed(breaker.Consecutive{N: 6}, time.Minute, 1), always},
		{
			"all",
			sony.Settings{MaxRequests: 3, Timeout: time.Second, Interval: time.Minute, ReadyToTrip: inARowOf(3)},
			fixed(breaker.Consecutive{N: 3}, time.Second, 3), append(slices.Clone(always), Intervals),
		},
		{"one", sony.Settings{ReadyToTrip: func(sony.Counts) bool { return true }}, fixed(breaker.Consecutive{N: 1}, time.Minute, 1), always},
		{"a thousand", sony.Settings{ReadyToTrip: inARowOf(1000)}, fixed(breaker.Consecutive{N: 1000}, time.Minute, 1), always},
		{
			"share",
			sony.Settings{ReadyToTrip: shareOf(20, .25), Interval: time.Minute},
			fixed(breaker.Rate{Window: time.Minute, MinCalls: 20, Threshold: .25}, time.Minute, 1), append(slices.Clone(always), Shares),
		},
		{
			"share for ever",
			sony.Settings{ReadyToTrip: func(c sony.Counts) bool {
				return c.Requests > 2 && 10*c.TotalFailures > 9*(c.TotalFailures+c.TotalSuccesses)
			}},
			fixed(breaker.Rate{Window: 10 * time.Second, MinCalls: 3, Threshold: .901}, time.Minute, 1), append(slices.Clone(always), Shares),
		},
	} {
		got, differs, err := Native(Config{Settings: tt.st})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) || !slices.Equal(differs, tt.differs) {
			t.Errorf("%s:\ngot  %+v, %q, %v\nwant %+v, %q", tt.name, got, differs, err, tt.want, tt.differs)
		}
	}
}

// What cannot be run on the native engine is said, and not run otherwise.
func TestNotNative(t *testing.T) {
	for _, tt := range []struct {
		name string
		st   sony.Settings
		want []string
	}{
		{"a number of failures", sony.Settings{ReadyToTrip: func(c sony.Counts) bool { return c.TotalFailures > 10 }}, []string{"Settings.ReadyToTrip"}},
		{"never", sony.Settings{ReadyToTrip: func(sony.Counts) bool { return false }}, []string{"Settings.ReadyToTrip"}},
		{"both", sony.Settings{ReadyToTrip: func(c sony.Counts) bool { return c.ConsecutiveFailures > 3 && c.TotalFailures > 20 }}, []string{"Settings.ReadyToTrip"}},
		{"probes", sony.Settings{MaxRequests: 1001}, []string{"Probes"}},
	} {
		_, _, err := Native(Config{Settings: tt.st})
		if got := fields(err); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want a complaint about %v", tt.name, err, tt.want)
		}
	}
}

// OnStateChange hears of the native engine's transitions what it heard of
// gobreaker's, and nothing of forced modes.
func TestNativeListener(t *testing.T) {
	var heard []string
	cfg, _, err := Native(Config{Settings: sony.Settings{Name: "users", OnStateChange: func(name string, from, to sony.State) {
		heard = append(heard, fmt.Sprintf("%s %v %v", name, from, to))
	}}})
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T) {
		b, err := breaker.New("10.0.0.1", cfg)
		if err != nil {
			t.Fatal(err)
		}
		callN(t, b, 6, breaker.Failure)
		b.Force(breaker.ForcedOpen, "")
		b.Force(breaker.Auto, "")
		callN(t, b, 1, breaker.Success)
	})
	if want := []string{"users/10.0.0.1 closed open", "users/10.0.0.1 open half-open", "users/10.0.0.1 half-open closed"}; !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// Nearest opens on a dead thing after as many calls as the settings, for all
// settings that there can be.
func TestNearest(t *testing.T) {
	opensAfter := func(opens func(bool) bool) int {
		for n := 1; ; n++ {
			if opens(true) {
				return n
			}
		}
	}
	check := func(name string, st sony.Settings, straight int) {
		t.Helper()
		r, err := Nearest(st)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := r.Validate(); err != nil {
			t.Fatalf("%s: %+v: %v", name, r, err)
		}
		if got := opensAfter(byCUSUM(r)); got != straight {
			t.Errorf("%s: %+v opens after %d straight failures, want %d", name, r, got, straight)
		}
	}
	check("zero", sony.Settings{}, 6)
	for n := 1; n <= 1000; n += max(1, n/7) {
		check(fmt.Sprint(n, " in a row"), sony.Settings{ReadyToTrip: inARowOf(uint32(n))}, n)
		for _, share := range []float64{.01, .05, .3, .6, 1} {
			least := max(n, 2)
			check(fmt.Sprintf("%g of at least %d", share, least), sony.Settings{ReadyToTrip: shareOf(uint32(least), share)}, least)
		}
	}
	if _, err := Nearest(sony.Settings{ReadyToTrip: func(sony.Counts) bool { return false }}); !slices.Equal(fields(err), []string{"Settings.ReadyToTrip"}) {
		t.Errorf("got %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestCompareFails(t *testing.T) {
	if err := Compare(brokenWriter{}, sony.Settings{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the writer's error", err)
	}
	var b strings.Builder
	if err := Compare(&b, sony.Settings{MaxRequests: 1001}); err == nil || b.Len() > 0 {
		t.Errorf("got %v and %q", err, b.String())
	}
}

// byCUSUM takes the results of calls, and says when the rule opens.
func byCUSUM(rule breaker.CUSUM) func(failed bool) bool {
	b, err := breaker.New("", breaker.Config{Rule: rule})
	if err != nil {
		panic(err)
	}
	return func(failed bool) bool {
		result := breaker.Success
		if failed {
			result = breaker.Failure
		}
		p, _, _ := b.TryAcquire(time.Time{})
		p.Done(breaker.Report{Result: result})
		return b.State() == breaker.Open
	}
}

package breaker

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// fieldsOf names the fields that an error is about.
func fieldsOf(err error) string {
	var names []string
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		var f *FieldError
		if !errors.As(err, &f) {
			names = append(names, fmt.Sprintf("%T", err))
			return
		}
		names = append(names, f.Field)
	}
	walk(err)
	return strings.Join(names, " ")
}

func TestConfigCheck(t *testing.T) {
	for _, row := range []struct {
		cfg    Config
		fields string
	}{
		{Config{}, ""},
		{Config{OpenFor: time.Minute}, ""},      // raises the default cap
		{Config{OpenMax: time.Millisecond}, ""}, // lowers the default
		{Config{Ramp: -1, SlowCall: time.Nanosecond}, ""},
		{Config{Spread: -1}, ""},
		{Config{Spread: 1.01}, "Spread"},
		{Config{Spread: math.NaN()}, "Spread"},
		{Config{SlowCall: -1, OpenFor: -1, OpenMax: -1, Probes: -1, ProbeTimeout: -1}, "SlowCall OpenFor OpenMax Probes ProbeTimeout"},
		{Config{OpenFor: 2 * time.Second, OpenMax: time.Second}, "OpenMax"},
		{Config{Probes: 1001, Ramp: math.MaxInt64, OpenMax: math.MaxInt64}, "OpenMax Probes Ramp"},
		{Config{Rule: CUSUM{Baseline: 2}, Probes: -1}, "CUSUM.Baseline Probes"},
		{Config{Rule: (*CUSUM)(nil)}, "Rule"},
		{Config{Rule: &Rate{}}, "Rule"},
		{Config{Rule: struct{ Rule }{}}, "Rule"},
	} {
		if got := fieldsOf(row.cfg.Validate()); got != row.fields {
			t.Errorf("%+v: wrong fields are %q, want %q", row.cfg, got, row.fields)
		}
		c, err := New("x", row.cfg)
		f, ferr := NewFamily(row.cfg)
		if (err == nil) != (row.fields == "") || (c == nil) != (err != nil) || (ferr == nil) != (err == nil) || (f == nil) != (ferr != nil) {
			t.Errorf("%+v: New says %v, %v, NewFamily %v, %v", row.cfg, c, err, f, ferr)
		}
	}
	err := Config{Rule: CUSUM{Baseline: 0.7, Broken: 0.2}, OpenFor: -time.Second}.Validate()
	want := "breaker: CUSUM.Baseline is 0.7: want 1e-9 to less than Broken, which is 0.2 (0: default 0.01)\n" +
		"breaker: OpenFor is -1s: want 0s to 8760h (0: default 1s)"
	if err.Error() != want {
		t.Errorf("error reads\n%v, want\n%v", err, want)
	}
}

// What Validate lets through must work: no panic, and no breaker that never lets
// a call through again.
func FuzzConfig(f *testing.F) {
	f.Add(0.0, 0.0, 0.0, int64(0), int64(0), int64(0), int64(0), 0, 0, byte(0))
	f.Add(0.1, 0.9, 10.0, int64(1), int64(2), int64(3), int64(4), 5, 6, byte(1))
	f.Add(math.NaN(), math.Inf(1), -1.0, int64(-1), int64(math.MaxInt64), int64(math.MinInt64), int64(1e9), -5, 1<<40, byte(2))
	f.Add(1e-9, 1-1e-9, 1e18, int64(1), int64(maxDuration), int64(maxDuration), int64(maxDuration), 1, 1, byte(3))
	f.Fuzz(func(t *testing.T, a, b, h float64, d1, d2, d3, d4 int64, n, m int, which byte) {
		cfg := Config{
			OpenFor: time.Duration(d1), OpenMax: time.Duration(d2), ProbeTimeout: time.Duration(d3),
			Ramp: time.Duration(d4), SlowCall: time.Duration(d1), Probes: m, Spread: b,
			Rule: []Rule{CUSUM{a, b, h}, Consecutive{n}, Rate{time.Duration(d4), n, a}, Count{n, m, b}, Never{}}[which%5],
		}
		clk := newHandClock()
		clk.seed(uint64(which))
		cfg.Clock = clk
		c, err := New("x", cfg)
		if err != nil {
			if strings.Contains(fieldsOf(err), "*") {
				t.Errorf("an error that is no FieldError: %v", err)
			}
			return
		}
		for range 100 {
			if p, _, ok := c.TryAcquire(clk.Now()); ok {
				p.Done(Report{Result: Failure})
			}
			c.Snapshot()
		}
		c.Trip(Reason{})
		filled := cfg.filled()
		clk.advance(2*filled.OpenMax + 1)
		for range filled.Probes {
			p, wait, ok := c.TryAcquire(clk.Now())
			if !ok {
				t.Fatalf("no probe after the longest open time, retry after %v", wait)
			}
			p.Done(Report{Result: Success})
		}
		if filled.SlowCall > 0 && c.State() != Closed {
			t.Errorf("%v after all probes succeeded", c.State())
		}
	})
}

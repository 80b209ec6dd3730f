package breaker

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestRules feeds results to a rule: S and F are a success and a failure, a
// digit is a wait of so many seconds, ! is where it must open.
func TestRules(t *testing.T) {
	for _, row := range []struct {
		rule  Rule
		calls string
	}{
		{CUSUM{}, "FFFF!"},
		{CUSUM{}, "FFFSF!"},
		{CUSUM{}, "FSSSSSSFSSSSSSFFFF!"}, // six successes undo a failure
		{CUSUM{}, "FFSSSSFFF!"},
		{CUSUM{}, strings.Repeat("S", 1000) + "FFFF!"},
		{CUSUM{FalseAlarm: 1.1}, "F!"},
		{CUSUM{Baseline: 0.1, Broken: 0.2, FalseAlarm: 100}, "FFFFFFF!"},
		{Consecutive{}, "FFFFF!"},
		{Consecutive{}, "FFFFSFFFFSFFFFF!"},
		{Consecutive{1}, "SSF!"},
		{Rate{}, strings.Repeat("F", 20) + "!"},
		{Rate{}, strings.Repeat("S", 10) + strings.Repeat("F", 10) + "!"},
		{Rate{}, strings.Repeat("F", 10) + strings.Repeat("S", 10) + "SF!"},
		{Rate{MinCalls: 4}, "FFFF!"},
		{Rate{MinCalls: 4}, "FFF91FFFF!"},   // the first three have left the window
		{Rate{MinCalls: 4}, "FFF9F!"},       // and here they have not
		{Rate{MinCalls: 4}, "SSSS991FFFF!"}, // a long silence
		{Rate{MinCalls: 1, Threshold: 1}, "S9F1F!"},
		{Rate{Window: 100 * time.Second, MinCalls: 2}, "8F99999999991F!"}, // at 99 s: the tenths begin at 0, 10, …
		{Rate{Window: 100 * time.Second, MinCalls: 2}, "8F99999999992FF!"},
		{Rate{Window: time.Second, MinCalls: 2}, "F1F1F1FF!"},
		{Count{}, strings.Repeat("F", 20) + "!"},
		{Count{}, strings.Repeat("S", 100) + strings.Repeat("F", 50) + "!"},
		{Count{Size: 4}, "SSSSFF!"},
		{Count{Size: 4}, "FSSSFSF!"},
		{Count{Size: 4, MinCalls: 1}, "SSFF!"},
		{Count{Size: 4, MinCalls: 1}, "F!"},
		{Count{Size: 100, MinCalls: 100, Threshold: 0.07}, strings.Repeat("S", 100) + "FFFFFFF!"},
		{Count{Size: 130, MinCalls: 130, Threshold: 1}, strings.Repeat("S", 200) + strings.Repeat("F", 130) + "!"},
		{Never{}, strings.Repeat("F", 1000)},
	} {
		t.Run(row.rule.String()+"/"+row.calls[:min(20, len(row.calls))], func(t *testing.T) {
			j, now := row.rule.judge(), epoch
			var rec record
			for i, c := range row.calls {
				if c == '!' {
					continue
				}
				if c >= '0' && c <= '9' {
					now = now.Add(time.Duration(c-'0') * time.Second)
					continue
				}
				want := i+1 < len(row.calls) && row.calls[i+1] == '!'
				if got := j.note(&rec, c == 'F', now); got != want {
					t.Fatalf("after %q it opens: %v, want %v (%+v)", row.calls[:i+1], got, want, j.measure(&rec, now))
				}
			}
		})
	}
}

func TestRateWindow(t *testing.T) {
	j := Rate{Window: 10 * time.Second}.judge()
	var rec record
	now := epoch
	for range 100 { // one failure and three successes a second
		j.note(&rec, true, now)
		for range 3 {
			j.note(&rec, false, now)
		}
		now = now.Add(time.Second)
	}
	now = now.Add(-time.Second)
	if m := j.measure(&rec, now); m.calls != 40 || m.failures != 10 || m.score != 0.25 {
		t.Errorf("the window holds %+v, want 10 failures of 40", m)
	}
	if m := j.measure(&rec, now.Add(5*time.Second)); m.calls != 20 || m.failures != 5 {
		t.Errorf("5 s later it holds %+v, want 5 failures of 20", m)
	}
	j.note(&rec, true, now) // reported with a time before the head
	if m := j.measure(&rec, now.Add(5*time.Second)); m.calls != 21 || m.failures != 6 {
		t.Errorf("a late result is lost: %+v", m)
	}
	if m := j.measure(&rec, now.Add(time.Hour)); m.calls != 0 || m.failures != 0 || m.score != 0 {
		t.Errorf("an hour later it holds %+v, want nothing", m)
	}
	if rec.failures() {
		t.Error("failures on record an hour later")
	}
}

func TestRuleInWords(t *testing.T) {
	for want, rule := range map[string]Rule{
		"cusum(1%→50%, 1e6)":                        CUSUM{},
		"cusum(0.1%→7%, 2500)":                      CUSUM{0.001, 0.07, 2500},
		"cusum(1%→50%, 1e12)":                       CUSUM{FalseAlarm: 1e12},
		"consecutive(5)":                            Consecutive{},
		"rate(50% in 10s, at least 20 calls)":       Rate{},
		"count(50% of last 100, at least 20 calls)": Count{},
		"count(50% of last 5, at least 5 calls)":    Count{Size: 5},
		"never":                                     Never{},
	} {
		if got := rule.String(); got != want {
			t.Errorf("%#v is %q, want %q", rule, got, want)
		}
		if got := rule.judge().String(); got != want {
			t.Errorf("%#v judges as %q, want %q", rule, got, want)
		}
		if err := rule.Validate(); err != nil {
			t.Errorf("%#v: %v", rule, err)
		}
	}
}

func TestRuleCheck(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, row := range []struct {
		rule   Rule
		fields string
	}{
		{CUSUM{Baseline: -1}, "CUSUM.Baseline"},
		{CUSUM{Baseline: nan, Broken: nan, FalseAlarm: nan}, "CUSUM.Baseline CUSUM.Broken CUSUM.FalseAlarm"},
		{CUSUM{Baseline: 0.5}, "CUSUM.Baseline"},
		{CUSUM{Broken: 0.01}, "CUSUM.Baseline"},
		{CUSUM{Baseline: 0.9, Broken: 0.1}, "CUSUM.Baseline"},
		{CUSUM{Baseline: 1, Broken: 1}, "CUSUM.Baseline CUSUM.Broken"},
		{CUSUM{Broken: inf}, "CUSUM.Broken"},
		{CUSUM{FalseAlarm: 1}, "CUSUM.FalseAlarm"},
		{CUSUM{FalseAlarm: -5}, "CUSUM.FalseAlarm"},
		{CUSUM{FalseAlarm: inf}, "CUSUM.FalseAlarm"},
		{Consecutive{-1}, "Consecutive.N"},
		{Rate{-1, -1, -1}, "Rate.Window Rate.MinCalls Rate.Threshold"},
		{Rate{Window: 1, Threshold: 1.1}, "Rate.Window Rate.Threshold"},
		{Rate{Threshold: nan}, "Rate.Threshold"},
		{Count{-1, 0, nan}, "Count.Size Count.Threshold"},
		{Count{Size: 10, MinCalls: 11}, "Count.MinCalls"},
		{Count{Size: 1 << 40}, "Count.Size"},
	} {
		if got := fieldsOf(row.rule.Validate()); got != row.fields {
			t.Errorf("%#v: wrong fields are %q, want %q", row.rule, got, row.fields)
		}
	}
}

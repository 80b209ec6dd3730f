package hystrix

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
)

func TestNative(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  CommandConfig
		want breaker.Config
	}{
		{"defaults", CommandConfig{}, breaker.Config{
			Rule:    breaker.Rate{Window: 10 * time.Second, MinCalls: 20, Threshold: 0.495},
			OpenFor: 5*time.Second + 1, OpenMax: 5*time.Second + 1, Spread: -1, ProbeTimeout: 5*time.Second + 1, Ramp: -1,
		}},
		{"a timeout beyond the sleep window", CommandConfig{Timeout: 60_000, SleepWindow: 100, RequestVolumeThreshold: 3, ErrorPercentThreshold: 1}, breaker.Config{
			Rule:    breaker.Rate{Window: 10 * time.Second, MinCalls: 3, Threshold: 0.005},
			OpenFor: 100*time.Millisecond + 1, OpenMax: 100*time.Millisecond + 1, Spread: -1, ProbeTimeout: time.Minute + 1, Ramp: -1,
		}},
		{"switched off by the percentage", CommandConfig{ErrorPercentThreshold: 101, RequestVolumeThreshold: 1}, breaker.Config{
			Rule:    breaker.Rate{Window: 10 * time.Second, MinCalls: 1e9, Threshold: 1},
			OpenFor: 5*time.Second + 1, OpenMax: 5*time.Second + 1, Spread: -1, ProbeTimeout: 5*time.Second + 1, Ramp: -1,
		}},
		{"switched off by the volume", CommandConfig{RequestVolumeThreshold: math.MaxInt32}, breaker.Config{
			Rule:    breaker.Rate{Window: 10 * time.Second, MinCalls: 1e9, Threshold: 0.495},
			OpenFor: 5*time.Second + 1, OpenMax: 5*time.Second + 1, Spread: -1, ProbeTimeout: 5*time.Second + 1, Ramp: -1,
		}},
	} {
		got, differs, err := Native(tt.cfg)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Rule != tt.want.Rule || got.OpenFor != tt.want.OpenFor || got.OpenMax != tt.want.OpenMax || got.Spread >= 0 ||
			got.ProbeTimeout != tt.want.ProbeTimeout || got.Ramp >= 0 || got.Probes != 0 || got.SlowCall != 0 {
			t.Errorf("%s: %+v\nwant %+v", tt.name, got, tt.want)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}

		// The settings of a client say the same.
		set, err := ClientSettings(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		client, err := resilience.New(resilience.Config{Settings: set})
		if err != nil {
			t.Fatal(err)
		}
		sn := client.ServiceBreaker().(*breaker.Circuit).Snapshot()
		if sn.Rule != got.Rule.String() || sn.OpenFor != got.OpenFor-1 || len(differs) != 7 || set.Timeout <= 0 || set.Bulkhead != 10 {
			t.Errorf("%s: a client's breaker is %+v, of %+v", tt.name, sn, set)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	bad := CommandConfig{Timeout: -1, SleepWindow: 1 << 40, MaxConcurrentRequests: 2e9, RequestVolumeThreshold: -1, ErrorPercentThreshold: -1}
	_, _, err := Native(bad)
	_, other := ClientSettings(bad)
	if err == nil || other == nil || err.Error() != other.Error() {
		t.Fatalf("%v, %v", err, other)
	}
	want := "breaker: CommandConfig.Timeout is -1: want 0 to 31536000000 milliseconds, a year (0: default 1000)"
	if got := err.(interface{ Unwrap() []error }).Unwrap(); len(got) != 5 || got[0].Error() != want {
		t.Errorf("%d errors, the first %v", len(got), got[0])
	}
	if _, err := NewEngine(EngineConfig{Command: bad, Max: -1}); err == nil {
		t.Error("an engine of it")
	} else if f := (*breaker.FieldError)(nil); !errors.As(err, &f) || f.Field != "EngineConfig.Max" {
		t.Error(err)
	}
}

// The library rounds the percentage before it compares; the threshold here says
// the same for every number of calls.
func TestThresholdRoundsAsTheLibraryDoes(t *testing.T) {
	most := 1500
	if testing.Short() {
		most = 300
	}
	edges := 0
	for percent := 1; percent <= 100; percent++ {
		at := threshold(percent)
		for calls := 1; calls <= most; calls++ {
			// Only near the threshold can they differ.
			middle := int(at * float64(calls))
			for failures := max(0, middle-2); failures <= min(calls, middle+2); failures++ {
				library := int(float64(failures)/float64(calls)*100+0.5) >= percent
				if ours := float64(failures)/float64(calls) >= at; ours != library {
					t.Fatalf("%d of %d at %d %%: the library opens %v, we %v", failures, calls, percent, library, ours)
				}
				if 200*failures == (2*percent-1)*calls {
					edges++
				}
			}
		}
	}
	t.Logf("%d cases at the very threshold", edges)
	if edges < most/10 {
		t.Errorf("only %d cases at the very threshold", edges)
	}
}

package tune

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/trace"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	recorded "github.com/holdfast-go/holdfast/resilience/trace"
)

// made is a trace that is made up: what Measure must find in it is known.
type made struct {
	clients, nodes int
	rate           float64 // a second, of a client at a node
	span           time.Duration
	fail           float64
	burst          int // failures in a burst
	every          int // of the successes one is kept
	ill            func(node int, at time.Duration) float64
}

var begin = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func (m made) set(seed uint64) *trace.Set {
	r := rand.New(rand.NewPCG(seed, 1))
	var list []recorded.Record
	for c := range m.clients {
		for n := range m.nodes {
			left := 0 // of a burst
			for at := time.Duration(0); at < m.span; {
				gap := time.Duration(r.ExpFloat64() / m.rate * 1e9)
				if left > 0 {
					gap = time.Duration(r.Float64() * float64(time.Millisecond))
				}
				at += gap
				p := m.fail
				if m.ill != nil {
					p = max(p, m.ill(n, at))
				}
				x := recorded.Record{
					Start: begin.Add(at), Client: fmt.Sprint("c", c), Node: fmt.Sprint("n", n), Method: "get", Attempt: 1, Calls: 1,
					Outcome: "succeeded", Result: breaker.Success, Latency: time.Duration((5 + 10*r.Float64()) * float64(time.Millisecond)),
				}
				switch {
				case left > 0:
					left--
					x.Outcome, x.Result, x.Latency = "ambiguous", breaker.Failure, 20*time.Millisecond
				case r.Float64() < p:
					left = max(m.burst, 1) - 1
					x.Outcome, x.Result, x.Latency = "ambiguous", breaker.Failure, 20*time.Millisecond
				case m.every > 1 && r.IntN(m.every) > 0:
					continue
				case m.every > 1:
					x.Calls = m.every
				}
				list = append(list, x)
			}
		}
	}
	return trace.Of(list)
}

func within(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if !(math.Abs(got-want) <= by) {
		t.Errorf("%s: %v, want %v ± %v", what, got, want, by)
	}
}

// The traffic, the error rate with its bound, and the latency are found, also
// where successes were sampled.
func TestMeasure(t *testing.T) {
	for _, every := range []int{1, 8} {
		f := Measure(made{clients: 3, nodes: 4, rate: 20, span: 200 * time.Second, fail: .01, every: every}.set(1), "x")
		within(t, "pair rate", f.PairMedian, 20, 1.5)
		within(t, "rate", f.Rate, 240, 10)
		if f.PairRate >= f.PairMedian || f.Clients != 3 || f.Nodes != 4 {
			t.Errorf("every %d: %+v", every, f)
		}
		within(t, "failures", f.Normal.Value, .01, .002)
		if f.Normal.Low > .01 || f.Normal.High < .0095 || f.Worst.High < f.Normal.High {
			t.Errorf("every %d: bounds %+v, worst %+v", every, f.Normal, f.Worst)
		}
		if len(f.Incidents) > 0 || f.Bursty || f.Dispersion > 1.2 {
			t.Errorf("every %d: %d incidents, bursty %v, dispersion %v where there is nothing", every, len(f.Incidents), f.Bursty, f.Dispersion)
		}
		within(t, "p50 in ms", float64(f.Latency.P50)/1e6, 10, .3)
		within(t, "p99 in ms", float64(f.Latency.P99)/1e6, 14.9, .15)
		if f.Latency.Bound < f.Latency.P99 || f.Latency.Tail < .99 {
			t.Errorf("every %d: %+v", every, f.Latency)
		}
	}
}

// A burst is one observation, and its length is found.
func TestMeasureBursts(t *testing.T) {
	f := Measure(made{clients: 2, nodes: 3, rate: 50, span: 300 * time.Second, fail: .002, burst: 10}.set(2), "x")
	if !f.Bursty || f.Burst < 2*time.Millisecond || f.Burst > 20*time.Millisecond {
		t.Errorf("bursts of some 5 ms: %v, %v", f.Bursty, f.Burst)
	}
	within(t, "failures in a burst", f.BurstMean, 10, 2)
	within(t, "bursts a call", f.Normal.Value, .002, .0007)
}

// What is not normal is left out: of one node and of all.
func TestMeasureIncidents(t *testing.T) {
	m := made{clients: 2, nodes: 4, rate: 40, span: 400 * time.Second, fail: .004}
	m.ill = func(node int, at time.Duration) float64 {
		switch s := at.Seconds(); {
		case node == 2 && s > 50 && s < 70:
			return .3
		case s > 200 && s < 230:
			return .1
		}
		return 0
	}
	f := Measure(m.set(3), "x")
	within(t, "failures", f.Normal.Value, .004, .001)
	within(t, "left out", f.Masked, .0875, .02)
	alone, all := time.Duration(0), time.Duration(0)
	for _, in := range f.Incidents {
		at := in.From.Sub(begin).Seconds()
		switch {
		case in.Node == "n2" && at > 45 && at < 75:
			alone += in.For
		case at > 195 && at < 235:
			if in.Node == "" {
				all += in.For
			}
		default:
			t.Errorf("nothing happened there: %+v", in)
		}
	}
	if f.Bursty || f.Burst != usualBurst {
		t.Errorf("bursts of %v in an incident", f.Burst)
	}
	within(t, "of one node, in s", alone.Seconds(), 20, 4)
	within(t, "of all, in s", all.Seconds(), 30, 5)
}

// Nodes that differ for good are not clusters.
func TestMeasureUnequal(t *testing.T) {
	m := made{clients: 2, nodes: 4, rate: 40, span: 400 * time.Second, fail: .002}
	m.ill = func(node int, _ time.Duration) float64 { return .008 * float64(node/3) }
	f := Measure(m.set(8), "x")
	if f.Worst.Node != "n3" || f.Worst.High < .008 || f.Dispersion > 1.1 || len(f.Follow) > 0 || len(f.Incidents) > 0 {
		t.Errorf("%+v, dispersion %v, follow %v, %d incidents", f.Worst, f.Dispersion, f.Follow, len(f.Incidents))
	}
}

// Failures that come in spells, too weak for an incident, show in what follows a failure, or as dispersion.
func TestMeasureDispersion(t *testing.T) {
	m := made{clients: 2, nodes: 4, rate: 40, span: 1000 * time.Second, fail: .001}
	m.ill = func(_ int, at time.Duration) float64 { return .02 * float64(int(at.Seconds()/4)%5/4) }
	if f := Measure(m.set(4), "x"); f.Dispersion*f.explained() < 1.5 || len(f.Follow) == 0 {
		t.Errorf("dispersion %v, follow %v, %d incidents", f.Dispersion, f.Follow, len(f.Incidents))
	}
}

// The standard error is by how much the dispersion of one record differs from
// another's, also where failures are rare and come together.
func TestMeasureDispersionError(t *testing.T) {
	var list []float64
	said := 0.
	const records = 40
	for seed := range uint64(records) {
		m := made{clients: 2, nodes: 4, rate: 40, span: 100 * time.Second, fail: .001}
		m.ill = func(_ int, at time.Duration) float64 { return .02 * float64(int(at.Seconds()/4)%5/4) }
		f := Measure(m.set(seed), "x")
		list = append(list, f.variance())
		said += f.varianceError() / records
	}
	if mean, sd := moments(list); sd < .6*said || sd > 1.6*said {
		t.Errorf("%.3f ± %.3f in %d records; a record says ± %.3f", mean, sd, records, said)
	}
}

// moments are the mean and the standard deviation.
func moments(list []float64) (mean, sd float64) {
	n := float64(len(list))
	for _, x := range list {
		mean += x / n
	}
	for _, x := range list {
		sd += (x - mean) * (x - mean) / (n - 1)
	}
	return mean, math.Sqrt(sd)
}

// Too little data is refused, and the refusal says how much more it takes: with
// that much there is a recommendation.
func TestRefusal(t *testing.T) {
	m := made{clients: 2, nodes: 3, rate: 10, span: 5 * time.Second, fail: .01}
	_, err := Recommend(Measure(m.set(5), "x"), Wishes{Broken: .2}, resilience.Settings{})
	var e *TooLittleError
	if !errors.As(err, &e) || e.More < 1.5 || len(e.Lacks) == 0 || !strings.Contains(err.Error(), "times the traffic that was recorded would do") {
		t.Fatalf("%v", err)
	}
	m.span = time.Duration(1.5 * e.More * float64(m.span))
	if _, err := Recommend(Measure(m.set(5), "x"), Wishes{Broken: .2}, resilience.Settings{}); err != nil {
		t.Errorf("with %.3g times as much: %v", e.More, err)
	}
	for name, row := range map[string]struct {
		m   made
		w   Wishes
		why string
	}{
		"one node":               {made{clients: 1, nodes: 1, rate: 100, span: 100 * time.Second}, Wishes{}, "ServiceBreaker"},
		"broken is normal":       {made{clients: 1, nodes: 3, rate: 100, span: 100 * time.Second, fail: .1}, Wishes{Broken: .2}, "when nothing seems wrong"},
		"nothing":                {made{nodes: 3}, Wishes{}, "no attempts at nodes"},
		"wishes that are no use": {made{nodes: 3}, Wishes{Broken: 2, FalseEjections: -1}, "falseEjections -1"},
	} {
		_, err := Recommend(Measure(row.m.set(6), "x"), row.w, resilience.Settings{})
		if err == nil || !strings.Contains(err.Error(), row.why) {
			t.Errorf("%s: %v", name, err)
		}
		if errors.As(err, &e) && e.More != 0 {
			t.Errorf("%s: more of the same is said to help: %v", name, err)
		}
	}
}

func TestRates(t *testing.T) {
	r := rateOf(0, 1000)
	within(t, "none of 1000", r.High, .003, .0001)
	r = rateOf(100, 1000)
	within(t, "100 of 1000, low", r.Low, .0855, .001)
	within(t, "100 of 1000, high", r.High, .1166, .001)
	n := callsFor(.01, .02)
	if rateOf(.01*n, n).High > .02 || rateOf(.01*n/1.2, n/1.2).High < .02 {
		t.Errorf("%v calls", n)
	}
	for _, x := range []struct {
		k    int
		m, p float64
	}{{0, 1, 1}, {1, 1, .63212}, {3, 1, .0803}, {10, 10, .54207}, {200, 150, .0000571}, {100, 150, .999992}} {
		if got := poissonTail(x.k, x.m); math.Abs(got-x.p) > .002*x.p {
			t.Errorf("P(X ≥ %d), mean %v: %v, want %v", x.k, x.m, got, x.p)
		}
	}
}

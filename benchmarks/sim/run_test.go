package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/scenario"
	"github.com/holdfast-go/holdfast/retry"
)

func mustRun(t *testing.T, s System, seed uint64) *Result {
	t.Helper()
	r, err := Run(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func encode(t *testing.T, r *Result) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same seed gives the same bytes, whatever else runs at the same time;
// another seed gives others.
func TestSameSeedSameBytes(t *testing.T) {
	for _, stack := range append([]string{Holdfast}, Peers()...) {
		for _, sc := range scenario.All() {
			if testing.Short() && stack != Holdfast && sc.Name != "flapping" {
				continue
			}
			s := FromPlan(sc.Name, sc.Plan(scenario.Quick), true)
			s.Client.Stack = stack
			list := make([][]byte, 2)
			var wg sync.WaitGroup
			for i := range list {
				wg.Go(func() {
					if r, err := Run(s, 5); err == nil {
						list[i], _ = json.Marshal(r)
					}
				})
			}
			wg.Wait()
			if len(list[0]) == 0 || !bytes.Equal(list[0], list[1]) {
				t.Errorf("%s/%s: twice the same seed:\n%s\n%s", sc.Name, stack, list[0], list[1])
			}
			r := mustRun(t, s, 6)
			r.Seed = 5
			if bytes.Equal(encode(t, r), list[0]) {
				t.Errorf("%s/%s: another seed gives the same run", sc.Name, stack)
			}
		}
	}
}

// All clients see the same arrivals.
func TestSameArrivals(t *testing.T) {
	stacks := append([]string{Holdfast}, Peers()...)
	var jobs []Job
	for _, name := range stacks {
		jobs = append(jobs, Job{System{
			Clients: 20, Rate: 500, Warm: time.Second, Fault: time.Second, Recover: time.Second, Client: Client{Stack: name},
		}, 3})
	}
	list, err := RunAll(jobs, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		if r.Client != stacks[i] || r.Requests != list[0].Requests || r.Failed > 0 {
			t.Errorf("%s: %+v, want %d requests as the first has", r.Client, r.Metrics, list[0].Requests)
		}
		for k, n := range r.Course.Good {
			if n != list[0].Course.Good[k] {
				t.Fatalf("%s: %d arrivals in slice %d, want %d", r.Client, n, k, list[0].Course.Good[k])
			}
		}
	}
}

// A queue with one worker and exponential service times is M/M/1, of which all
// is known: a call's time is exponential, with the mean 1/(μ−λ).
func TestQueueIsMM1(t *testing.T) {
	if testing.Short() {
		t.Skip("needs many calls")
	}
	sample := make([]time.Duration, 4001) // quantiles of Exp(10 ms)
	for i := range sample {
		p := min(float64(i)/float64(len(sample)-1), 1-1e-4)
		sample[i] = time.Duration(-math.Log(1-p) * float64(10*time.Millisecond))
	}
	r := mustRun(t, System{
		Nodes: 1, Clients: 10, Rate: 50, Wire: -1, Timeout: -1, // ρ = 1/2
		Service: Service{Sample: sample, Workers: 1, Queue: 10_000},
		Warm:    10 * time.Second, Fault: 2000 * time.Second, Recover: 10 * time.Second,
		Methods: []Method{{Name: "get", Kind: retry.Safe}},
	}, 1)
	const mean = 20 // ms
	for _, q := range []struct{ got, p float64 }{{r.P50Ms, .5}, {r.P99Ms, .99}} {
		want := -math.Log(1-q.p) * mean
		if math.Abs(q.got/want-1) > .06 { // 100 000 calls, strongly dependent
			t.Errorf("p%g: %.1f ms, want %.1f", 100*q.p, q.got, want)
		}
	}
	if r.Failed > 0 {
		t.Errorf("%d failed, and the queue has room", r.Failed)
	}
}

// The load is the one that was asked for: Poisson, in its shares, and more in
// a surge.
func TestLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("needs many calls")
	}
	r := mustRun(t, System{
		Rate: 1000, Clients: 10, Warm: 10 * time.Second, Fault: 10 * time.Second, Recover: 10 * time.Second,
		Surges: []Surge{{From: 10 * time.Second, To: 20 * time.Second, Times: 3}},
	}, 1)
	for phase, want := range []float64{10_000, 30_000, 10_000} {
		var n, squares float64
		for _, k := range r.Course.Good[100*phase : 100*(phase+1)] {
			n += float64(k)
			squares += float64(k * k)
		}
		if math.Abs(n-want) > 4*math.Sqrt(want) {
			t.Errorf("phase %d: %v arrivals, want %v", phase, n, want)
		}
		mean := n / 100
		if ratio := (squares/100 - mean*mean) / mean; ratio < .5 || ratio > 1.7 { // 1, ± 4 × √(2/100)
			t.Errorf("phase %d: variance / mean of arrivals in 100 ms: %.2f, want 1", phase, ratio)
		}
	}
}

// Service times have the mean and the spread that they should.
func TestTimes(t *testing.T) {
	for _, s := range []Service{
		{Mean: 10 * time.Millisecond, CV: .3},
		{Mean: time.Second, CV: 2},
		{Mean: time.Millisecond, CV: -1},
		{Sample: []time.Duration{0, time.Second}},
	} {
		times := timesOf(s)
		const n = 1_000_000
		var sum, squares float64
		for i := range n {
			x := times.at((float64(i) + .5) / n).Seconds()
			sum += x
			squares += x * x
		}
		mean := sum / n
		cv := math.Sqrt(squares/n-mean*mean) / mean
		want, wantCV := s.Mean.Seconds(), max(0, s.CV)
		if s.Sample != nil {
			want, wantCV = .5, 1/math.Sqrt(3)
		}
		if math.Abs(mean/want-1) > .01 || math.Abs(cv-wantCV) > .02*wantCV+1e-4 {
			t.Errorf("%+v: mean %.5f s, CV %.3f; want %.5f s, %.3f", s, mean, cv, want, wantCV)
		}
	}
}

// Failures come as often as they should, and together where they should.
func TestErrors(t *testing.T) {
	if testing.Short() {
		t.Skip("needs many calls")
	}
	for _, m := range []Method{{Errors: .05}, {Errors: .05, Burst: 5}, {Errors: .2}} {
		m.Name, m.Kind = "get", retry.Safe
		r := mustRun(t, System{
			Nodes: 2, Clients: 2, Rate: 20_000, Methods: []Method{m}, Client: Client{Stack: "bare"},
			Warm: time.Second, Fault: 4 * time.Second, Recover: time.Second,
		}, 2)
		got := float64(r.Failed) / float64(r.Requests)
		if math.Abs(got/m.Errors-1) > .06 {
			t.Errorf("%+v: %.4f of the calls failed", m, got)
		}
	}
	// Of failures that come five at a time, fewer slices have any.
	slices := func(burst float64) (n int) {
		r := mustRun(t, System{
			Nodes: 1, Clients: 1, Rate: 3000, Methods: []Method{{Name: "get", Kind: retry.Safe, Errors: .005, Burst: burst}}, Client: Client{Stack: "bare"},
			Warm: time.Second, Fault: 30 * time.Second, Recover: time.Second,
		}, 2)
		for _, k := range r.Course.Failed {
			if k > 0 {
				n++
			}
		}
		return n
	}
	if one, five := slices(1), slices(5); five > one/2 || five < one/8 {
		t.Errorf("failures in %d slices if each is on its own, in %d if five come together", one, five)
	}
}

func ExampleRun() {
	result, err := Run(System{
		Clients: 100, Nodes: 10, Rate: 2000,
		Faults: []Fault{{At: 3 * time.Second, For: 8 * time.Second, Do: Kill, Nodes: []int{9}}},
	}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Requests > 30_000, result.Duplicated, result.FalseEjections)
	// Output: true 0 0
}

// TCP sends again when Linux was seen to do so.
func TestRetransmissions(t *testing.T) {
	const ms = int64(time.Millisecond)
	for _, c := range []struct{ lost, now, data, syn int64 }{
		{0, 1, 210, 1024},
		{100, 300, 310, 1124},
		{0, 211, 420, 1024},
		{0, 1700, 3360, 2048},
		{0, 5121, 6720, 7168}, // five SYNs a second apart, then 2 s, 4 s
		{0, 7169, 13440, 11264},
	} {
		if d, s := nextData(c.lost*ms, c.now*ms), nextSYN(c.lost*ms, c.now*ms); d != c.data*ms || s != c.syn*ms {
			t.Errorf("lost at %d, now %d: data at %d, a SYN at %d; want %d and %d", c.lost, c.now, d/ms, s/ms, c.data, c.syn)
		}
	}
}

// A call that never ends has failed.
func TestNeverEnds(t *testing.T) {
	r := mustRun(t, System{
		Timeout: -1, Client: Client{Stack: "bare"}, Warm: time.Second, Fault: time.Second, Recover: time.Second,
		Faults: []Fault{{At: time.Second, Do: Sicken, Nodes: []int{4}, Lose: 1, Silent: true}},
	}, 1)
	if share := float64(r.Failed) / float64(r.Requests); share < .1 || share > .17 { // two thirds of a fifth
		t.Errorf("%d of %d failed", r.Failed, r.Requests)
	}
}

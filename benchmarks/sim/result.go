package sim

import (
	"errors"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/resilience"
)

// Result is what a run came to. Its metrics are those of `holdfast bench`, by
// the same names and the same definitions.
type Result struct {
	Client string `json:"client"` // whose
	Seed   uint64 `json:"seed"`

	harness.Metrics

	// Baseline is what some of the metrics were in the warm-up without its
	// first third.
	Baseline map[string]float64 `json:"baseline"`

	// Attempts that reached a node, in the whole run. FalseEjections over it is
	// a rate of false alarms.
	Attempts int `json:"attempts"`

	// TimesToEjectMs has, for each fault that is a reason to eject a node and
	// each client that could see it, how many milliseconds later that client
	// had ejected it; null: it did not. In the order of faults, nodes and
	// clients.
	TimesToEjectMs []*float64 `json:"timesToEjectMs"`

	Course  harness.Course          `json:"course"` // the run in slices; its nodes are "hello-1" to "hello-N", without those to which nothing happens where there are more than 20
	Latency *hdrhistogram.Histogram `json:"-"`      // in microseconds, of the calls that were due in the fault phase and 2 s after it
}

// Run simulates the system. It fails if the system is not valid: the error
// lists all that is wrong with it.
//
// A run is single-threaded; runs do not share anything, and may go on at the
// same time.
func Run(s System, seed uint64) (*Result, error) { return Watch(s, seed, nil) }

// Watch is Run with observers: each of holdfast's clients, which are counted
// from 0, has the one that observer returns for it.
func Watch(s System, seed uint64, observer func(client int) resilience.Observer) (*Result, error) {
	s = s.WithDefaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	w, err := newWorld(s, seed, observer)
	if err != nil {
		return nil, err
	}
	return w.run()
}

// Job is one run.
type Job struct {
	System System
	Seed   uint64
}

// RunAll makes the runs, so many at a time, and returns their results in the
// order of the jobs.
func RunAll(jobs []Job, workers int) ([]*Result, error) {
	results, errs := make([]*Result, len(jobs)), make([]error, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(max(1, workers), len(jobs)) {
		wg.Go(func() {
			for i := range next {
				results[i], errs[i] = Run(jobs[i].System, jobs[i].Seed)
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return results, nil
}

// Compare runs the same arrivals with each of the clients, one after the
// other.
func Compare(s System, clients []Client, seed uint64) ([]*Result, error) {
	jobs := make([]Job, len(clients))
	for i, c := range clients {
		jobs[i] = Job{s, seed}
		jobs[i].System.Client = c
	}
	return RunAll(jobs, 1)
}

package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
)

// job is one run of the matrix.
type job struct {
	scenario scenario.Scenario
	stack    harness.Stack
	plan     harness.Plan
}

func (j *job) String() string {
	return fmt.Sprintf("%s/%s/%d", j.scenario.Name, j.stack.Name(), j.plan.Seed)
}

// weight is how many ordinary runs it is worth, at most all that there is.
func (j *job) weight(most int) int64 {
	const ordinary = 200 // requests a second
	return int64(min(most, max(1, int(math.Ceil(j.plan.Rate/ordinary)))))
}

// jobs are all runs. The seeds are outermost, so that what else goes on on the
// machine hits all stacks alike.
func (o *options) jobs() (list []*job) {
	for seed := range o.seeds {
		for _, sc := range o.scenarios {
			for _, st := range o.stacks {
				plan := sc.Plan(o.pace()).WithDefaults()
				plan.Seed = uint64(seed + 1)
				list = append(list, &job{sc, st, plan})
			}
		}
	}
	return list
}

func (o *options) pace() scenario.Pace {
	if o.quick {
		return scenario.Quick
	}
	return scenario.Full
}

// run does all runs.
func (o *options) run(ctx context.Context, std cli.Streams) (*report.Summary, error) {
	sum := o.summary()
	m := &matrix{options: o, jobs: o.jobs(), runs: map[string]report.Run{}}
	if o.out != "" {
		var err error
		if m.folder, err = report.NewFolder(o.out); err != nil {
			return nil, &usageError{fmt.Errorf("-out: %w", err)}
		}
	}
	m.show = newShow(std.Err, m.jobs, o.parallel)
	err := m.all(ctx)
	m.show.close()
	for _, j := range m.jobs {
		if r, ok := m.runs[j.String()]; ok {
			sum.Runs = append(sum.Runs, r)
		}
	}
	if m.folder != nil {
		if cerr := m.folder.Close(sum); err == nil {
			err = cerr
		}
	}
	return sum, err
}

func (o *options) summary() *report.Summary {
	sum := &report.Summary{SchemaVersion: 1, Environment: report.Here(time.Now(), os.Args), Quick: o.quick, Missing: append(slices.Clip(o.left), o.absent...), Runs: []report.Run{}}
	for seed := range o.seeds {
		sum.Seeds = append(sum.Seeds, uint64(seed+1))
	}
	for _, s := range o.stacks {
		info := s.Info()
		sum.Stacks = append(sum.Stacks, report.Stack{Name: s.Name(), What: info.What, Config: info.Config, Keyed: info.Keyed})
	}
	for _, sc := range o.scenarios {
		sum.Scenarios = append(sum.Scenarios, report.Scenario{
			Name: sc.Name, What: sc.What, Inject: sc.Inject, Bound: sc.Bound, Plan: sc.Plan(o.pace()).WithDefaults(),
		})
	}
	return sum
}

// matrix is all runs under way.
type matrix struct {
	*options
	jobs   []*job
	folder *report.Folder // nil: none
	show   *show

	mu   sync.Mutex
	runs map[string]report.Run
}

// all does the jobs, as many at once as there is room for. The first that
// cannot be done ends the others.
func (m *matrix) all(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	room := semaphore.NewWeighted(int64(m.parallel))
	var wg sync.WaitGroup
	for _, j := range m.jobs {
		w := j.weight(m.parallel)
		if room.Acquire(ctx, w) != nil {
			break
		}
		wg.Go(func() {
			defer room.Release(w)
			if err := m.one(ctx, j); err != nil {
				stop(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// one does a job, again if it was not valid.
func (m *matrix) one(ctx context.Context, j *job) error {
	for again := 0; ; again++ {
		m.show.begin(j)
		r, err := m.bench(ctx, j, again)
		m.show.end(j)
		if err != nil {
			return fmt.Errorf("%s, %s, seed %d: %w", j.scenario.Name, j.stack.Name(), j.plan.Seed, err)
		}
		run := report.Of(j.scenario.Name, r, j.scenario.Bounds(r))
		run.Again = again
		if !run.Valid && again < m.again {
			m.show.note(j, "not valid, once more: "+run.Load.Invalid)
			continue
		}
		m.show.done(j, run)
		return m.keepRun(j, r, run)
	}
}

func (m *matrix) bench(ctx context.Context, j *job, again int) (*harness.Run, error) {
	cfg := harness.BenchConfig{Plan: j.plan, Stack: j.stack, Progress: m.show.progress(j)}
	if m.keep != "" {
		cfg.Keep = filepath.Join(m.keep, fmt.Sprintf("%s-%s-%d-%d", j.scenario.Name, j.stack.Name(), j.plan.Seed, again))
		if err := os.Mkdir(cfg.Keep, 0o755); err != nil {
			return nil, err
		}
	}
	return harness.Bench(ctx, cfg)
}

func (m *matrix) keepRun(j *job, r *harness.Run, run report.Run) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[j.String()] = run
	if m.folder == nil {
		return nil
	}
	return m.folder.Add(j.scenario.Name, r)
}

// usageError is one that the user's arguments have caused.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

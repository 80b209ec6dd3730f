package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/benchmarks/report"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
)

// job is one run of the matrix.
type job struct {
	scenario scenario.Scenario
	stack    harness.Stack
	plan     harness.Plan
	round    int // see schedule
	again    int // how often it was run before
}

func (j *job) String() string {
	return fmt.Sprintf("%s/%s/%d", j.scenario.Name, j.stack.Name(), j.plan.Seed)
}

// jobs are all runs. The seeds are outermost, so that what else goes on on the
// machine hits all stacks alike.
func (o *options) jobs() (list []*job) {
	for seed := range o.seeds {
		for _, sc := range o.scenarios {
			for _, st := range o.stacks {
				plan := sc.Plan(o.pace()).WithDefaults()
				plan.Seed = uint64(seed + 1)
				list = append(list, &job{scenario: sc, stack: st, plan: plan})
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
	schedule *schedule
	show     *show
	folder   *report.Folder // nil: none
	sum      *report.Summary
	jobs     []*job
	runs     map[string]report.Run // by job
	began    time.Time
	before   float64   // milliseconds that it took until it was interrupted
	wrote    time.Time // the summary
	failed   error     // of the first run that was left out, since it could not be done
}

// run does all runs.
func (o *options) run(ctx context.Context, std cli.Streams) (*report.Summary, error) {
	m := &matrix{options: o, sum: o.summary(), jobs: o.jobs(), runs: map[string]report.Run{}}
	if err := m.open(); err != nil {
		return nil, err
	}
	todo := slices.DeleteFunc(slices.Clone(m.jobs), func(j *job) bool { _, done := m.runs[j.String()]; return done })
	if err := build(ctx, todo, std); err != nil {
		return nil, err
	}
	m.began = time.Now()
	m.schedule = newSchedule(o.cpus(), o.parallel, todo)
	for _, j := range m.jobs {
		if r := m.runs[j.String()]; r.CPUMs > 0 {
			m.schedule.costs.add(j, time.Duration(r.CPUMs*float64(time.Millisecond)), j.plan.Total()+around)
		}
	}
	m.show = newShow(std.Err, len(todo), m.schedule.left(m.began))
	if n := len(m.runs); n > 0 {
		m.show.say(fmt.Sprintf("%d runs are there already", n))
	}
	err := m.all(ctx)
	if m.failed != nil {
		err = errors.Join(err, m.failed)
	}
	m.show.close()
	m.collect()
	if m.folder != nil {
		err = errors.Join(err, m.folder.Close(m.sum))
	}
	return m.sum, err
}

// build has the programs of their own built that jobs need, before there is a
// run that it would slow.
func build(ctx context.Context, jobs []*job, std cli.Streams) error {
	told := false
	for _, j := range jobs {
		e, elsewhere := j.stack.(harness.Elsewhere)
		if !elsewhere {
			continue
		}
		if !told {
			fmt.Fprintf(std.Err, "holdfast bench run: building the program of %s, unless it is there\n", j.stack.Name())
			told = true
		}
		if _, err := e.Program(ctx); err != nil {
			return fmt.Errorf("%s: %w", j.stack.Name(), err)
		}
	}
	return nil
}

// outcome is what became of a job; without any, its processes have started.
type outcome struct {
	*job
	run *harness.Run
	err error
}

// all does the jobs.
func (m *matrix) all(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	news := make(chan outcome, 2*mostAtOnce) // nobody under way waits for us
	for {
		var j *job
		if ctx.Err() == nil {
			j = m.schedule.next(time.Now())
		}
		if j != nil {
			m.show.begin(m.schedule.left(time.Now()))
			go m.one(ctx, j, news)
			continue
		}
		if len(m.schedule.now) == 0 {
			return context.Cause(ctx)
		}
		o := <-news
		if o.run == nil && o.err == nil {
			m.schedule.started(o.job, time.Now())
			continue
		}
		if err := m.ended(ctx, o); err != nil {
			stop(err)
		}
		m.show.end(m.schedule.left(time.Now()))
	}
}

// one does a job once.
func (m *matrix) one(ctx context.Context, j *job, news chan<- outcome) {
	cfg := harness.BenchConfig{Plan: j.plan, Stack: j.stack}
	started, show := false, m.show.progress()
	cfg.Progress = func(p harness.Progress) {
		if p.Elapsed >= 0 && !started {
			started = true
			news <- outcome{job: j}
		}
		show(p)
	}
	o := outcome{job: j}
	if m.keep != "" {
		cfg.Keep = filepath.Join(m.keep, fmt.Sprintf("%s-%s-%d-%d", j.scenario.Name, j.stack.Name(), j.plan.Seed, j.again))
		o.err = os.Mkdir(cfg.Keep, 0o755)
	}
	if o.err == nil {
		o.run, o.err = harness.Bench(ctx, cfg)
	}
	news <- o
}

// ended keeps what came of a job, or has it repeated.
func (m *matrix) ended(ctx context.Context, o outcome) error {
	j, now := o.job, time.Now()
	if o.err != nil {
		m.schedule.end(j, now, 0, false)
		return m.undone(ctx, j, o.err)
	}
	run := report.Of(j.scenario.Name, o.run, j.scenario.Bounds(o.run))
	run.Again = j.again
	m.schedule.end(j, now, o.run.CPU, run.Valid)
	if !run.Valid && j.again < m.again {
		m.show.note(j, "not valid, once more: "+run.Load.Invalid)
		m.schedule.repeat(j)
		return nil
	}
	m.show.done(j, run)
	m.runs[j.String()] = run
	if m.folder == nil {
		return nil
	}
	return errors.Join(m.folder.Add(j.scenario.Name, o.run), m.save(now))
}

// undone has a job repeated that could not be done. If that does not help, the
// others go on without it, where what they come to is kept.
func (m *matrix) undone(ctx context.Context, j *job, err error) error {
	again := ctx.Err() == nil && !errors.Is(err, errors.ErrUnsupported)
	if again && j.again < m.again {
		m.show.note(j, "could not be done, once more: "+flags.OneLine(err))
		m.schedule.repeat(j)
		return nil
	}
	err = fmt.Errorf("%s, %s, seed %d: %w", j.scenario.Name, j.stack.Name(), j.plan.Seed, err)
	if !again || m.folder == nil || len(m.runs) == 0 {
		return err
	}
	m.show.note(j, "left out, since it could not be done: "+flags.OneLine(err))
	if m.failed == nil {
		m.failed = err
	}
	return nil
}

package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"
)

// Config is the experiment of [Failover]. A zero field means its default.
type Config struct {
	Stacks   []Stack       // run one after another, each with the same load; at least one
	Nodes    int           // hello instances, 2 to 20; default 2
	Rate     float64       // requests a second on both routes together, 20 to 5000; default 200
	Duration time.Duration // of the load of each stack, 3 s to 10 min; default 15 s
	Fault    Fault         // default Kill
	Seed     uint64        // of the arrivals
	Port     int           // of the gateway; the user API and the instances take the next ones; 0: free ones
	Keep     string        // directory for ledgers and journals; empty: nothing is left
	Work     time.Duration // service time of hello; default 10 ms
	Timeout  time.Duration // of a call of the user API; default 5 s

	// Board, if not nil, has the user API show its client on a live board, and
	// is told where, once a stack, with the token that steering takes in the
	// address. Of a stack that knows no board it shows nothing.
	Board func(url string)

	// Progress, if not nil, is told how things stand, several times a second
	// and when something happens. It is not called concurrently.
	Progress func(Progress)
}

func (cfg Config) withDefaults() Config {
	if cfg.Nodes == 0 {
		cfg.Nodes = 2
	}
	if cfg.Rate == 0 {
		cfg.Rate = 200
	}
	if cfg.Duration == 0 {
		cfg.Duration = 15 * time.Second
	}
	if cfg.Fault == "" {
		cfg.Fault = Kill
	}
	if cfg.Work == 0 {
		cfg.Work = 10 * time.Millisecond
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	return cfg
}

// The accepted ranges.
const (
	MinNodes    = 2
	MaxNodes    = 20
	MinRate     = 20
	MaxRate     = 5000
	MinDuration = 3 * time.Second
	MaxDuration = 10 * time.Minute
)

// minMet is how many requests must be expected at the victim while it is down,
// so that a run without any is out of the question.
const minMet = 10

// Validate returns all that is wrong, joined, each with the field's name and
// the accepted range.
func (cfg Config) Validate() error {
	cfg = cfg.withDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(len(cfg.Stacks) > 0, "stacks: none: want at least one")
	check(cfg.Nodes >= MinNodes && cfg.Nodes <= MaxNodes, "nodes %d: want %d to %d hello instances", cfg.Nodes, MinNodes, MaxNodes)
	check(cfg.Rate >= MinRate && cfg.Rate <= MaxRate, "rate %v: want %d to %d requests a second", cfg.Rate, MinRate, MaxRate) // NaN fails too
	check(cfg.Duration >= MinDuration && cfg.Duration <= MaxDuration, "duration %v: want %v to %v", cfg.Duration, MinDuration, MaxDuration)
	if met := cfg.Rate * (cfg.Duration / 3).Seconds() / float64(cfg.Nodes); len(errs) == 0 {
		check(met >= minMet, "rate %v: want at least %.0f with %d nodes and %v: too few requests would meet the dead node",
			cfg.Rate, math.Ceil(cfg.Rate*minMet/met), cfg.Nodes, cfg.Duration)
	}
	if err := cfg.Fault.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("fault %q: %w", string(cfg.Fault), err))
	}
	last := math.MaxUint16 - 1 - cfg.Nodes
	if cfg.Board != nil {
		last--
	}
	check(cfg.Port >= 0 && cfg.Port <= last, "port %d: want 1 to %d, or 0 for free ports", cfg.Port, last)
	check(cfg.Work > 0 && cfg.Work <= time.Second, "work %v: want up to 1s", cfg.Work)
	check(cfg.Timeout >= 100*time.Millisecond && cfg.Timeout <= time.Minute, "timeout %v: want 100ms to 1m", cfg.Timeout)
	if cfg.Keep != "" {
		info, err := os.Stat(cfg.Keep)
		check(err == nil && info.IsDir(), "keep %q: want an existing directory", cfg.Keep)
	}
	return errors.Join(errs...)
}

// Progress is how an experiment stands.
type Progress struct {
	Stack    string
	Phase    Phase
	Elapsed  time.Duration // of the load; below 0 while the processes start
	Duration time.Duration
	Sent     int
	Failed   int
	Notice   string // what has just happened; empty: nothing, time has passed
}

// Failover runs the experiment: for each stack it starts a gateway, a user API
// and the hello instances, puts the load on, does the fault to the last
// instance at a third of the time, and undoes it at two thirds. All processes
// have ended when it returns.
//
// It fails with a [*PortError], a [*FaultError], ctx's cause, or what kept a
// process from doing its part; that a stack does badly is no error but in the
// report.
func Failover(ctx context.Context, cfg Config) (*Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	names := append([]string{roleGateway, roleUserAPI}, instanceNames(cfg.Nodes)...)
	if cfg.Board != nil {
		names = append(names, "board")
	}
	ports, release, err := choosePorts(cfg.Port, names)
	if err != nil {
		return nil, err
	}
	defer release()
	arrivals := Workload{Seed: cfg.Seed, Rate: cfg.Rate, Duration: cfg.Duration}.Arrivals()
	report := &Report{
		SchemaVersion: 1, Seed: cfg.Seed, Fault: cfg.Fault, Nodes: cfg.Nodes, Rate: cfg.Rate,
		DurationMs: ms(cfg.Duration), WorkMs: ms(cfg.Work), TimeoutMs: ms(cfg.Timeout),
	}
	for _, stack := range cfg.Stacks {
		exe, err := executable(ctx, stack)
		if err != nil {
			return nil, err
		}
		s, err := runStack(ctx, &cfg, stack, exe, ports, arrivals)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stack.Name(), err)
		}
		report.Stacks = append(report.Stacks, s)
	}
	return report, nil
}

// runStack runs the load and the fault against one stack.
func runStack(ctx context.Context, cfg *Config, stack Stack, exe string, ports []int, arrivals []Arrival) (*StackReport, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	tell := newTeller(cfg.Progress, stack.Name(), cfg.Duration)
	defer tell.close()
	spawner := newSpawner()
	c := &chain{cluster: cluster{
		stack: stack.Name(), exe: exe, keep: cfg.Keep, service: Service{Mean: cfg.Work}, spawner: spawner, fail: fail, notice: tell.entry,
	}}
	defer spawner.close()
	defer c.stop()
	tell.say("starting %d processes", 2+cfg.Nodes)
	if err := c.start(ctx, cfg, ports); err != nil {
		return nil, cause(ctx, err)
	}
	defer c.front.close()

	victim := c.hellos[len(c.hellos)-1]
	l := &load{fire: c.front.fire, start: time.Now().Add(50 * time.Millisecond)}
	run := &run{cfg: cfg, stack: stack.Name(), victim: victim.node.ID, nodes: c.hellos, start: l.start}
	tell.begin(l.start, l.count)
	loaded := make(chan error, 1)
	go func() { loaded <- l.run(ctx, arrivals) }()
	err := c.disturb(ctx, run, victim, tell)
	if err != nil {
		fail(err)
	}
	if lerr := <-loaded; err == nil {
		err = lerr
	}
	if err == nil {
		tell.end()
		err = settle(ctx, 100*time.Millisecond+4*cfg.Work)
	}
	if err != nil {
		return nil, cause(ctx, err)
	}
	run.shots = l.shots
	if run.entries, err = entries(ctx, c.userAPI, c.journal); err != nil {
		return nil, cause(ctx, err)
	}
	if run.records, run.torn, err = c.records(); err != nil {
		return nil, err
	}
	return run.report(), nil
}

// disturb does the fault and undoes it, each when it is due.
func (c *chain) disturb(ctx context.Context, run *run, victim *instance, tell *teller) (err error) {
	third, fault := run.cfg.Duration/3, run.cfg.Fault
	if err := until(ctx, run.start.Add(third)); err != nil {
		return err
	}
	if run.down, err = c.inject(ctx, fault, victim); err != nil {
		return err
	}
	tell.phase(Down, "%s: %s", victim.node.ID, fault.done())
	if err := until(ctx, run.start.Add(2*third)); err != nil {
		return err
	}
	if run.back, err = c.undo(ctx, fault, victim); err != nil {
		return err
	}
	tell.phase(Back, "%s: %s", victim.node.ID, fault.undone())
	return nil
}

func until(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cause prefers why the experiment was ended to what that did to err.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

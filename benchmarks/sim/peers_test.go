package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/cenkalti/backoff/v4"
	"github.com/cep21/circuit/v4"
	closers "github.com/cep21/circuit/v4/closers/hystrix"
	resiliency "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/internal/clock"
)

var errIll = errors.New("ill")

// attemptPlan is a call: when it begins, how long it takes, how it ends.
type attemptPlan struct {
	at, takes time.Duration
	fails     bool
}

// plans draws calls that overlap, in phases of health and illness, with pauses
// longer than the open times. No two things happen at the same instant.
func plans(seed uint64) (list []attemptPlan) {
	rng := rand.New(rand.NewPCG(seed, 1))
	used := map[time.Duration]bool{}
	at := time.Duration(0)
	for range 30 {
		errorRate := []float64{0, .1, .3, .6, 1}[rng.IntN(5)]
		gap := []time.Duration{time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond}[rng.IntN(3)]
		for range 20 + rng.IntN(60) {
			at += time.Duration(rng.ExpFloat64() * float64(gap))
			p := attemptPlan{at, time.Duration(rng.ExpFloat64() * 30 * float64(time.Millisecond)), rng.Float64() < errorRate}
			if rng.IntN(50) == 0 {
				p.takes *= []time.Duration{300, 3000}[rng.IntN(2)] // it ends in another state than it began in
			}
			for used[p.at] || used[p.at+p.takes] || p.takes == 0 {
				p.at++
				p.takes++
			}
			used[p.at], used[p.at+p.takes] = true, true
			list = append(list, p)
		}
		if rng.IntN(3) == 0 {
			at += time.Duration(rng.IntN(70_000)) * time.Millisecond
		}
	}
	slices.SortFunc(list, func(a, b attemptPlan) int { return int(a.at - b.at) })
	return list
}

// play makes the calls through a breaker on the time that goes there, and
// tells which were let in. sleep and spawn are that time's.
func play(list []attemptPlan, sleep func(time.Duration), spawn func(func()), run func(func() error) error) (admitted []bool) {
	admitted = make([]bool, len(list))
	now := time.Duration(0)
	for i, p := range list {
		sleep(p.at - now)
		now = p.at
		spawn(func() {
			_ = run(func() error {
				admitted[i] = true
				sleep(p.takes)
				if p.fails {
					return errIll
				}
				return nil
			})
		})
	}
	return admitted
}

// The libraries, as the models have them.
var libraries = map[string]func() func(func() error) error{
	"gobreaker": func() func(func() error) error {
		b := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{})
		return func(f func() error) error {
			_, err := b.Execute(func() (struct{}, error) { return struct{}{}, f() })
			return err
		}
	},
	"failsafe": func() func(func() error) error {
		b := circuitbreaker.NewBuilder[any]().WithFailureThreshold(5).WithDelay(time.Minute).WithSuccessThreshold(2).Build()
		return func(f func() error) error { return failsafe.With[any](b).Run(f) }
	},
	"go-resiliency": func() func(func() error) error {
		return resiliency.New(3, 1, 5*time.Second).Run
	},
	"circuit": func() func(func() error) error {
		c := circuit.NewCircuitFromConfig("", circuit.Config{
			General:   circuit.GeneralConfig{ClosedToOpenFactory: closers.OpenerFactory(closers.ConfigureOpener{}), OpenToClosedFactory: closers.CloserFactory(closers.ConfigureCloser{})},
			Execution: circuit.ExecutionConfig{Timeout: -1},
		})
		return func(f func() error) error {
			return c.Run(context.Background(), func(context.Context) error { return f() })
		}
	},
}

// Each model lets in what its library lets in, call by call.
func TestModelsAreTheLibraries(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 3
	}
	for name := range rules {
		if name == "hystrix" {
			continue // below
		}
		rejected := 0
		for seed := range seeds {
			list := plans(seed)
			want := bubble(t, list, func() func(func() error) error { return libraries[name]() }, func([]bool) {})
			rejected += compare(t, fmt.Sprintf("%s, seed %d", name, seed), list, model(list, name), want)
		}
		if rejected == 0 {
			t.Errorf("%s rejected nothing: that was no test", name)
		}
	}
}

// bubble plays the calls through a library in a bubble of fake time.
//
//nolint:forbidigo // synctest bubble
func bubble(t *testing.T, list []attemptPlan, library func() func(func() error) error, end func([]bool)) (admitted []bool) {
	synctest.Test(t, func(*testing.T) {
		run := library()
		admitted = play(list, time.Sleep, func(f func()) { go f() }, run)
		time.Sleep(time.Hour) // what is under way, and timers
		end(admitted)
	})
	return admitted
}

// model plays them through ours in virtual time.
func model(list []attemptPlan, name string) (admitted []bool) {
	clk := clock.NewVirtual(1)
	defer clk.Close()
	w := &world{clk: clk, begin: clk.Mono(), sys: System{Nodes: 1, Clients: 1}}
	w.m.w = w
	w.m.isOut, w.m.rows = map[[2]int]int{}, []int{-1}
	r := rules[name](&peer{w: w}, 0)
	clk.Run(func() {
		admitted = play(list, func(d time.Duration) { _ = clk.Sleep(context.Background(), d) }, clk.Go,
			func(f func() error) error { return r.run(context.Background(), w.now, f) })
	})
	return admitted
}

// compare returns how many were rejected.
func compare(t *testing.T, what string, list []attemptPlan, got, want []bool) (rejected int) {
	t.Helper()
	for i := range list {
		if got[i] != want[i] {
			t.Fatalf("%s: call %d at %v: let in %v, by the library %v", what, i, list[i].at, got[i], want[i])
		}
		if !want[i] {
			rejected++
		}
	}
	return rejected
}

// hystrixSeed tells the child process what to play.
const hystrixSeed = "HOLDFAST_SIM_HYSTRIX"

// hystrix-go keeps its goroutines for ever, which a bubble does not allow. So
// it plays in a process that ends within the bubble.
func TestHystrixIsTheLibrary(t *testing.T) {
	if seed, err := strconv.ParseUint(os.Getenv(hystrixSeed), 10, 64); err == nil {
		hystrix.ConfigureCommand("x", hystrix.CommandConfig{
			Timeout: 1_000_000, MaxConcurrentRequests: hystrixConcurrent, ErrorPercentThreshold: hystrixPercent,
		})
		bubble(t, plans(seed), func() func(func() error) error {
			return func(f func() error) error { return hystrix.Do("x", f, nil) }
		}, func(admitted []bool) {
			_ = json.NewEncoder(os.Stdout).Encode(admitted)
			os.Exit(0)
		})
	}
	rejected := 0
	for seed := range uint64(4) {
		list := plans(seed)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHystrixIsTheLibrary$")
		cmd.Env = append(os.Environ(), fmt.Sprint(hystrixSeed, "=", seed), "GORACE=exitcode=0") // the library has races of its own
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var want []bool
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		rejected += compare(t, fmt.Sprint("hystrix, seed ", seed), list, model(list, "hystrix"), want)
	}
	if rejected == 0 {
		t.Error("hystrix rejected nothing: that was no test")
	}
}

// The pauses are those of backoff/v4.
func TestPauses(t *testing.T) {
	lib := backoff.NewExponentialBackOff(backoff.WithInitialInterval(peerPause), backoff.WithRandomizationFactor(0))
	interval := time.Duration(0)
	for i := range 30 {
		want := lib.NextBackOff()
		var low, high time.Duration
		low, _ = nextPause(interval, 0)
		high, interval = nextPause(interval, 1)
		if low != want/2 || high < want*3/2 || high > want*3/2+2 {
			t.Errorf("pause %d: %v to %v, want half of %v to half as much again", i+1, low, high, want)
		}
	}
}

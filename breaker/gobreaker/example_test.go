package gobreaker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	v1 "github.com/sony/gobreaker"
	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/gobreaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// settings are what a team has.
var settings = sony.Settings{
	Name:        "users",
	MaxRequests: 2,
	Timeout:     5 * time.Second,
	ReadyToTrip: func(c sony.Counts) bool { return c.ConsecutiveFailures >= 3 },
	OnStateChange: func(name string, from, to sony.State) {
		fmt.Printf("%s: %v to %v\n", name, from, to)
	},
}

// fetch stands for a client that a team has. One of the two is dead.
func fetch(_ context.Context, addr string) (string, error) {
	if addr == "10.0.0.1:8080" {
		return "", errors.New("connection reset")
	}
	return "gopher", nil
}

// Before: one breaker for the service, around calls to one address.
func Example_before() {
	ctx := context.Background()
	cb := sony.NewCircuitBreaker[string](settings)
	for range 4 {
		name, err := cb.Execute(func() (string, error) {
			return fetch(ctx, "10.0.0.1:8080")
		})
		fmt.Println(name, err)
	}
	// Output:
	//  connection reset
	//  connection reset
	// users: closed to open
	//  connection reset
	//  circuit breaker is open
}

// After: the same settings, a breaker for each node, and retries that go
// elsewhere.
func Example_after() {
	ctx := context.Background()
	engine, err := gobreaker.NewEngine(gobreaker.Config{Settings: settings})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := resilience.New(resilience.Config{
		Nodes:  selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"),
		Engine: engine,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	for range 100 {
		name, err := resilience.Do(ctx, client, resilience.Safe("fetch"), func(ctx context.Context, node *selector.Node) (string, error) {
			return fetch(ctx, node.Addr)
		})
		if name != "gopher" || err != nil {
			fmt.Println(name, err)
		}
	}
	// Output:
	// users/10.0.0.1:8080: closed to open
}

// The settings of v1, which most teams have.
func ExampleFromV1() {
	settings := v1.Settings{
		Name:        "users",
		ReadyToTrip: func(c v1.Counts) bool { return c.ConsecutiveFailures >= 3 },
	}
	engine, err := gobreaker.NewEngine(gobreaker.Config{Settings: gobreaker.FromV1(settings)})
	if err != nil {
		fmt.Println(err)
		return
	}
	group, err := breaker.NewGroup(breaker.GroupConfig{Engine: engine})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 4 {
		permit, _, ok := group.Get("tenant-17").TryAcquire(time.Now())
		fmt.Println(ok)
		permit.Done(breaker.Report{Result: breaker.Failure})
	}
	// Output:
	// true
	// true
	// true
	// false
}

// One breaker above the retries, as before.
func ExampleEngine_serviceBreaker() {
	engine, err := gobreaker.NewEngine(gobreaker.Config{Settings: settings})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := resilience.New(resilience.Config{
		Service:       "directory",
		Nodes:         selector.Addrs("10.0.0.1:8080"),
		ServiceEngine: engine,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	for range 4 {
		err = client.Do(context.Background(), resilience.Unsafe("fetch"), func(ctx context.Context, node *selector.Node) error {
			_, err := fetch(ctx, node.Addr)
			return err
		})
	}
	fmt.Println(errors.Is(err, breaker.ErrOpen))
	// Output:
	// users/directory: closed to open
	// true
}

// What IsSuccessful and IsExcluded say of an error is what the breakers hear.
func ExampleJudge() {
	errNoRow := errors.New("no such row")
	settings := sony.Settings{IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, errNoRow) }}
	engine, err := gobreaker.NewEngine(gobreaker.Config{Settings: settings})
	if err != nil {
		fmt.Println(err)
		return
	}
	judge := gobreaker.Judge(settings)
	client, err := resilience.New(resilience.Config{
		Engine: engine,
		Classify: func(ctx context.Context, err error) resilience.Outcome {
			outcome := resilience.Classify(ctx, err)
			outcome.Node = judge(err)
			return outcome
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	for range 10 {
		_ = client.Do(context.Background(), resilience.Unsafe("get"), func(context.Context, *selector.Node) error { return errNoRow })
	}
	fmt.Println(client.Selector().Nodes()[0].State)
	// Output: closed
}

// The same settings on the native engine, and what will be different.
func ExampleNative() {
	config, differences, err := gobreaker.Native(gobreaker.Config{Settings: settings})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range differences {
		fmt.Println("-", d)
	}
	family, err := breaker.NewFamily(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := resilience.New(resilience.Config{Engine: family})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()
	fmt.Println(config.Rule)
	// Output:
	// - a probe that has not reported within ProbeTimeout is forfeited; gobreaker waits for it for ever
	// - a failure counts while closed, however old its call; gobreaker drops those from before its counts were last cleared
	// consecutive(3)
}

// The rule nearest to gobreaker's defaults that also sees partial failure.
func ExampleCompare() {
	if err := gobreaker.Compare(os.Stdout, sony.Settings{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// as set:  consecutive(6)
	// nearest: breaker.CUSUM{Baseline: 0.01, Broken: 0.5, FalseAlarm: 2.21e+09}
	//
	// calls until it opens, at an error rate of
	//             100%     50%     30%     10%      1%
	// as set         6      76    1520  >20000  >20000
	// nearest        6      13      28    1425  >20000
}

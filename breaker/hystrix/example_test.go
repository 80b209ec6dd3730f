package hystrix_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/hystrix"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/board"
	"github.com/holdfast-go/holdfast/selector"
)

var errDown = errors.New("connection refused")

func fetch(context.Context, string) (string, error) { return "", errDown }

// A call site as it was, but for the import line. What it returns matches what
// went wrong, in the function and in the fallback.
func ExampleDo() {
	defer hystrix.Flush()
	errEmpty := errors.New("nothing cached")
	err := hystrix.Do("users", func() error {
		_, err := fetch(context.Background(), "users:8080")
		return err
	}, func(error) error {
		return errEmpty
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, errDown), errors.Is(err, errEmpty))
	// Output:
	// fallback failed with 'nothing cached'. run error was 'connection refused'
	// true true
}

// Configurations are checked. In hystrix-go nothing is returned, so that a call
// site need not look.
func ExampleConfigureCommand() {
	err := hystrix.ConfigureCommand("users", hystrix.CommandConfig{Timeout: -5, MaxConcurrentRequests: 100, SleepWindow: -1})
	fmt.Println(err)
	// Output:
	// breaker: CommandConfig.Timeout is -5: want 0 to 31536000000 milliseconds, a year (0: default 1000)
	// breaker: CommandConfig.SleepWindow is -1: want 0 to 31536000000 milliseconds, a year (0: default 5000)
}

// The same numbers for a client of several nodes, which tries another node
// before anybody sees a failure. A fallback in Wrap stands around the bulkhead
// too, as hystrix's does.
func ExampleClientSettings() {
	settings, err := hystrix.ClientSettings(hystrix.CommandConfig{Timeout: 1000, MaxConcurrentRequests: 100, ErrorPercentThreshold: 25})
	if err != nil {
		log.Fatal(err)
	}
	client, err := resilience.New(resilience.Config{
		Service:  "users",
		Nodes:    selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"),
		Settings: settings,
		Wrap: []resilience.Wrapper{resilience.Fallback(func(_ context.Context, _ *resilience.Call, err error) error {
			fmt.Println("answered from the cache, since", errors.Is(err, errDown))
			return nil
		})},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	text, err := resilience.Do(context.Background(), client, resilience.Safe("get"), func(ctx context.Context, node *selector.Node) (string, error) {
		return fetch(ctx, node.Addr)
	})
	fmt.Printf("%q %v\n", text, err)
	// Output:
	// answered from the cache, since true
	// "" <nil>
}

// The same circuit without a client: on its own, or one for each key in a
// breaker.Group.
func ExampleNative() {
	config, differences, err := hystrix.Native(hystrix.CommandConfig{RequestVolumeThreshold: 2})
	if err != nil {
		log.Fatal(err)
	}
	b, err := breaker.New("users", config)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		permit, err := b.Acquire()
		if err != nil {
			log.Fatal(err)
		}
		permit.Done(breaker.Report{Result: breaker.Failure})
	}
	_, err = b.Acquire()
	fmt.Println(errors.Is(err, breaker.ErrOpen), config.Rule)
	fmt.Println(len(differences), "differences, such as:", differences[6])
	// Output:
	// true rate(49.5% in 10s, at least 2 calls)
	// 7 differences, such as: a circuit that closes starts afresh; in hystrix the success that closed it is the first of the requests that may open it
}

func ExampleCompare() {
	if err := hystrix.Compare(os.Stdout, hystrix.CommandConfig{}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// as set:  rate(49.5% in 10s, at least 20 calls)
	// nearest: breaker.CUSUM{Baseline: 0.0665, Broken: 0.495, FalseAlarm: 1e+17}
	//
	// calls until it opens, at an error rate of
	//             100%     50%     30%     10%      1%
	// as set        20      22  >20000  >20000  >20000
	// nearest       20      55     196  >20000  >20000
}

// The commands on a Hystrix dashboard: in place of hystrix-go's StreamHandler.
func ExampleObserve() {
	b, err := board.New(board.Config{})
	if err != nil {
		log.Fatal(err)
	}
	hystrix.Observe(b)
	defer hystrix.Observe(nil)
	mux := http.NewServeMux()
	mux.Handle("/hystrix.stream", b)

	_ = hystrix.Do("users", func() error { return nil }, nil)
	for _, s := range b.State().Services {
		fmt.Println(s.Name, s.Breaker.State, s.Breaker.Rule)
	}
	// Output:
	// users closed rate(49.5% in 10s, at least 20 calls)
}

// The library itself, as the breaker of a client's service. It is not run here,
// since the library's goroutines never end.
func ExampleEngine() { //nolint:testableexamples // the library's goroutines would outlive the tests
	engine, err := hystrix.NewEngine(hystrix.EngineConfig{Command: hystrix.CommandConfig{ErrorPercentThreshold: 25}})
	if err != nil {
		log.Fatal(err)
	}
	client, err := resilience.New(resilience.Config{
		Service:       "users",
		Nodes:         selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080"),
		ServiceEngine: engine,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
}

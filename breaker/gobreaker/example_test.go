package gobreaker_test

import (
	"fmt"
	"os"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker/gobreaker"
)

// How the settings run on the native engine, and how they would differ.
func ExampleNative() {
	settings := sony.Settings{Interval: 1e9, MaxRequests: 3}
	cfg, differs, err := gobreaker.Native(gobreaker.Config{Settings: settings})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cfg.Rule, cfg.Probes)
	for _, d := range differs {
		fmt.Println("-", d)
	}
	// Output:
	// consecutive(6) 3
	// - a probe that has not reported within ProbeTimeout is forfeited; gobreaker waits for it for ever
	// - a failure counts while closed, however old its call; gobreaker drops those from before its counts were last cleared
	// - failures in a row are forgotten by a success alone; gobreaker forgets all at the end of each Interval, and so never opens on a dead node that gets few calls in one
}

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

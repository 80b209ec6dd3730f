package promwrap_test

import (
	"context"
	"fmt"
	"log"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/promwrap"
)

func Example() {
	collector, err := promwrap.New(promwrap.Config{})
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry() // or prometheus.MustRegister(collector)
	if err := registry.Register(collector); err != nil {
		log.Fatal(err)
	}
	client, err := resilience.New(resilience.Config{Service: "users", Nodes: selector.Addrs("10.0.0.1:8080"), Observer: collector})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.Do(context.Background(), resilience.Safe("greet"), func(context.Context, *selector.Node) error { return nil }); err != nil {
		log.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "holdfast_calls_total" {
			fmt.Println(f.GetMetric()[0].GetCounter().GetValue(), "call")
		}
	}
	// Output: 1 call
}

package otelwrap_test

import (
	"context"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/otelwrap"
)

func ExampleInstrument() {
	exporter := tracetest.NewInMemoryExporter() // yours sends them somewhere
	cfg, err := otelwrap.Instrument(
		resilience.Config{Service: "users", Nodes: selector.Addrs("10.0.0.1:8080", "10.0.0.2:8080")},
		otelwrap.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))},
	)
	if err != nil {
		log.Fatal(err)
	}
	client, err := resilience.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	attempts := 0
	err = client.Do(context.Background(), resilience.Safe("greet"), func(context.Context, *selector.Node) error {
		if attempts++; attempts == 1 {
			return fmt.Errorf("connection reset")
		}
		return nil
	})
	fmt.Println(err)
	for _, span := range exporter.GetSpans() {
		fmt.Printf("%s: %v\n", span.Name, span.Status.Code)
	}
	// Output:
	// <nil>
	// users greet attempt: Error
	// users greet attempt: Unset
	// users greet: Unset
}

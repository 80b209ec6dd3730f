package sim

import (
	"context"
	"errors"
	"time"

	"github.com/cep21/circuit/v4"
	"github.com/cep21/circuit/v4/closers/hystrix"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// circuitRule is cep21/circuit v4.1.0 itself, with its hystrix opener and
// closer at their defaults: opens when half of at least 20 requests in 10 s
// have failed, tries one each 5 s; 10 requests at a time.
type circuitRule struct{ c *circuit.Circuit }

func newCircuitRule(p *peer, node int) rule {
	clk := p.w.clk
	after := func(d time.Duration, f func()) *time.Timer {
		clk.AfterFunc(d, f) // those that are late it knows, and does nothing
		return nil
	}
	return circuitRule{circuit.NewCircuitFromConfig("", circuit.Config{
		General: circuit.GeneralConfig{
			ClosedToOpenFactory: hystrix.OpenerFactory(hystrix.ConfigureOpener{Now: clk.Now}),
			OpenToClosedFactory: hystrix.CloserFactory(hystrix.ConfigureCloser{AfterFunc: after}),
			TimeKeeper:          circuit.TimeKeeper{Now: clk.Now, AfterFunc: after},
		},
		Execution: circuit.ExecutionConfig{Timeout: -1}, // the attempt's own is around it
		Metrics:   circuit.MetricsCollectors{Circuit: []circuit.Metrics{circuitTold(p.tell(node))}},
	})}
}

func (r circuitRule) run(ctx context.Context, _ func() int64, attempt func() error) error {
	err := r.c.Run(ctx, func(context.Context) error { return attempt() })
	var c circuit.Error
	if errors.As(err, &c) && (c.CircuitOpen() || c.ConcurrencyLimitReached()) {
		return errRejected
	}
	return err
}

// circuitTold implements circuit.Metrics.
type circuitTold func(harness.EntryKind)

// Opened implements circuit.Metrics.
func (t circuitTold) Opened(context.Context, time.Time) { t(harness.Ejected) }

// Closed implements circuit.Metrics.
func (t circuitTold) Closed(context.Context, time.Time) { t(harness.Readmitted) }

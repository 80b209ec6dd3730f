package resilience_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

func ExampleLogEvents() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { // what differs from run to run
			if a.Key == slog.TimeKey || a.Key == "elapsed" {
				return slog.Attr{}
			}
			return a
		},
	}))
	client, err := resilience.New(resilience.Config{
		Service:  "bank",
		Nodes:    selector.Addrs("10.0.0.1:8080"),
		Observer: resilience.LogEvents(logger),
	})
	if err != nil {
		logger.Error("no client", "err", err)
		return
	}
	defer func() { _ = client.Close() }()
	_ = client.Do(context.Background(), resilience.Unsafe("pay"), func(context.Context, *selector.Node) error {
		return errors.New("connection reset")
	})
	// Output:
	// level=INFO msg="nodes changed" service=bank nodes=1 added=1
	// level=INFO msg="client opened" service=bank
	// level=INFO msg="attempt failed" service=bank method=pay node=10.0.0.1:8080 attempt=1 outcome=ambiguous err="connection reset"
	// level=ERROR msg="call failed and may have been carried out" service=bank method=pay attempts=1 outcome=ambiguous why="not repeatable" err="bank pay: may have been carried out: not repeatable after 1 attempt (10.0.0.1:8080 ambiguous): connection reset"
	// level=INFO msg="client closed" service=bank
}

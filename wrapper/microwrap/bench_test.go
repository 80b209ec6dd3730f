package microwrap_test

import (
	"context"
	"testing"
	"time"

	"go-micro.dev/v5/client"

	"github.com/holdfast-go/holdfast/internal/overhead"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// BenchmarkMicro is a call over loopback to three server processes, by
// go-micro's client alone (random choice, no cache of the registry to pay for),
// wrapped, and wrapped without attempt timeouts:
//
//	go test -run '^$' -bench Micro/p50 -benchtime 5000x -count 5 .
//
// stack=… measure one after the other. p50 takes turns, call by call and in
// random order, so that what else the machine does hits all; it reports the
// medians, and by how much they exceed the bare one.
func BenchmarkMicro(b *testing.B) {
	f := start(b, 3)
	way := func(name string, c client.Client) overhead.Way {
		return overhead.Way{Name: name, Do: func(b *testing.B) { greet(b, c) }}
	}
	uncut := settings()
	uncut.AttemptTimeout = -1
	ways := []overhead.Way{
		way("bare", bare(f.reg)),
		way("holdfast", dial(b, f.reg, microwrap.Config{Default: resilience.Config{Settings: settings()}})),
		way("holdfast-uncut", dial(b, f.reg, microwrap.Config{Default: resilience.Config{Settings: uncut}})),
	}
	for _, w := range ways {
		b.Run("stack="+w.Name+"/mode=serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Do(b)
			}
		})
		b.Run("stack="+w.Name+"/mode=parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					w.Do(b)
				}
			})
		})
	}
	b.Run("p50", func(b *testing.B) { overhead.P50(b, ways...) })
}

func greet(b *testing.B, c client.Client) {
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	var rsp Response
	if err := c.Call(ctx, c.NewRequest(service, "Hello.Greet", &Request{ID: "a"}), &rsp); err != nil {
		b.Error(err)
	}
}

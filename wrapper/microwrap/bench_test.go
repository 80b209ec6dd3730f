package microwrap_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go-micro.dev/v5/client"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// BenchmarkMicro is a call over loopback to three server processes, by
// go-micro's client alone (random choice, no cache of the registry to pay for)
// and wrapped:
//
//	go test -run '^$' -bench Micro -count 10 . | benchstat -col /stack -
//
// p50 takes turns, call by call and in random order, so that what else the
// machine does hits both; it reports the medians and by how much they differ.
func BenchmarkMicro(b *testing.B) {
	f := start(b, 3)
	stacks := []struct {
		name   string
		client client.Client
	}{
		{"bare", bare(f.reg)},
		{"holdfast", dial(b, f.reg, microwrap.Config{Default: resilience.Config{Settings: settings()}})},
	}
	for _, s := range stacks {
		b.Run("stack="+s.name+"/mode=serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				greet(b, s.client)
			}
		})
		b.Run("stack="+s.name+"/mode=parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					greet(b, s.client)
				}
			})
		})
	}
	b.Run("p50", func(b *testing.B) {
		took := make([][]time.Duration, len(stacks))
		for b.Loop() {
			for _, i := range rand.Perm(len(stacks)) {
				begin := time.Now()
				greet(b, stacks[i].client)
				took[i] = append(took[i], time.Since(begin))
			}
		}
		median := func(i int) float64 {
			slices.Sort(took[i])
			return float64(took[i][len(took[i])/2])
		}
		b.ReportMetric(median(0), "bare-p50-ns")
		b.ReportMetric(median(1), "holdfast-p50-ns")
		b.ReportMetric(100*(median(1)/median(0)-1), "overhead-%")
		b.ReportMetric(0, "ns/op") // of a round: says nothing
	})
}

func greet(b *testing.B, c client.Client) {
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	var rsp Response
	if err := c.Call(ctx, c.NewRequest(service, "Hello.Greet", &Request{ID: "a"}), &rsp); err != nil {
		b.Error(err)
	}
}

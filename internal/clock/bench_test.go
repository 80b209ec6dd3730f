package clock

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkVirtualSleep is one park and resume among n coroutines that are
// all asleep; alone, a coroutine is its own successor and does not switch.
func BenchmarkVirtualSleep(b *testing.B) {
	for _, n := range []int{1, 2, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("coroutines=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			v := NewVirtual(1)
			defer v.Close()
			ctx, cancel := v.WithCancel(context.Background())
			defer cancel(nil)
			each := b.N/n + 1
			for range n {
				v.Go(func() {
					for range each {
						_ = v.Sleep(ctx, time.Duration(1+v.Rand()%1_000_000))
					}
				})
			}
			b.ResetTimer()
			v.Wait()
		})
	}
}

// BenchmarkVirtualGo is a coroutine from Go to return, on a reused worker.
func BenchmarkVirtualGo(b *testing.B) {
	b.ReportAllocs()
	v := NewVirtual(1)
	defer v.Close()
	n := 0
	f := func() { n++ }
	v.Run(func() {
		for b.Loop() {
			v.Go(f)
			_ = v.Sleep(context.Background(), 1)
		}
	})
}

// BenchmarkVirtualTimeout is a sleep under a timeout that does not fire.
func BenchmarkVirtualTimeout(b *testing.B) {
	b.ReportAllocs()
	v := NewVirtual(1)
	defer v.Close()
	v.Run(func() {
		for b.Loop() {
			ctx, cancel := v.WithTimeout(context.Background(), time.Second)
			_ = v.Sleep(ctx, time.Millisecond)
			cancel()
		}
	})
}

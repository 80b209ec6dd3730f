package trace

import (
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
)

// recycle gives full batches back unread, so that every attempt is recorded.
func (r *Recorder) recycle() {
	for {
		select {
		case b := <-r.full:
			b.n = 0
			r.free <- b
		default:
			return
		}
	}
}

// BenchmarkObserve is what an attempt pays for being recorded: at most 200 ns
// and no allocation. With sink=disk the files are written too, by another
// core, as fast as they can be; what is too much for it is lost.
func BenchmarkObserve(b *testing.B) {
	rows := []struct {
		name string
		rec  func() *Recorder
	}{
		{"sink=none/every=1", func() *Recorder { return newRecorder(Config{}.withDefaults()) }},
		{"sink=none/every=16", func() *Recorder { return newRecorder(Config{Every: 16}.withDefaults()) }},
		{"sink=disk/every=1", func() *Recorder { return newRec(b, Config{}) }},
		{"sink=disk/every=16", func() *Recorder { return newRec(b, Config{Every: 16}) }},
	}
	for _, row := range rows {
		e := attempt(0, resilience.Succeeded, nil)
		observe := func(r *Recorder, i int) {
			r.Observe(e)
			if i%batchSize == 0 && r.files == nil {
				r.recycle()
			}
		}
		b.Run(row.name+"/mode=serial", func(b *testing.B) {
			r := row.rec()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				observe(r, i)
			}
			b.ReportMetric(float64(r.Counters().Lost)/float64(b.N), "lost/op")
		})
		b.Run(row.name+"/mode=parallel", func(b *testing.B) {
			r := row.rec()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					observe(r, i)
				}
			})
			b.ReportMetric(float64(r.Counters().Lost)/float64(b.N), "lost/op")
		})
	}
}

// An attempt allocates nothing, recorded, left out or lost.
func TestNoAllocation(t *testing.T) {
	good, bad := attempt(0, resilience.Succeeded, nil), attempt(0, resilience.Ambiguous, errOp)
	for name, cfg := range map[string]Config{"recorded or lost": {Buffer: 1024}, "sampled or lost": {Every: 16, Buffer: 1024}} {
		r := newRecorder(cfg.withDefaults())
		if n := testing.AllocsPerRun(10000, func() { r.Observe(good); r.Observe(bad) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if c := r.Counters(); c.Lost == 0 {
			t.Errorf("%s: nothing was lost: %+v", name, c)
		}
	}
}

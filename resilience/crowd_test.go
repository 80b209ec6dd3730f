package resilience_test

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// TestAnOverloadedServiceIsNotAskedTwice: two nodes carry out one call at a
// time, also those that were given up. Where twice as much comes for a while
// as they can do, attempts take longer than their timeout everywhere, and
// cutting them would only add to the load.
func TestAnOverloadedServiceIsNotAskedTwice(t *testing.T) {
	t.Parallel()
	const work = 20 * ms
	b := newBench(nil, nil)
	c := newClient(t, b, config{})
	free := map[string]time.Duration{}
	asked, failed := 0, 0
	op := func(ctx context.Context, n *selector.Node) error {
		asked++
		free[n.ID] = max(free[n.ID], b.Elapsed()) + work
		return b.Clock().Sleep(ctx, free[n.ID]-b.Elapsed())
	}
	const calls = 300
	b.Run(func() {
		for i := range calls {
			pause := work // half of what they can do
			if i >= 100 && i < 220 {
				pause = work / 4 // twice of it
			}
			b.Sleep(pause)
			b.Go(func() {
				ctx, cancel := b.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if c.Do(ctx, resilience.Safe("m"), op) != nil {
					failed++
				}
			})
		}
	})
	if failed > 0 || asked > calls+calls/20 {
		t.Errorf("%d of %d calls failed, %d attempts", failed, calls, asked)
	}
}

// TestAnAttemptThatIsLostInTheCrowd: an attempt that was not cut, since the
// whole service took as long, is cut when that is over and it still hangs:
// where there is no deadline nothing else ends it.
func TestAnAttemptThatIsLostInTheCrowd(t *testing.T) {
	t.Parallel()
	const work = 20 * ms
	b := newBench(nil, nil)
	c := newClient(t, b, config{Settings: sets{AttemptTimeout: 150 * ms}})
	free := map[string]time.Duration{}
	op := func(ctx context.Context, n *selector.Node) error {
		free[n.ID] = max(free[n.ID], b.Elapsed()) + work
		return b.Clock().Sleep(ctx, free[n.ID]-b.Elapsed())
	}
	took, hung := time.Duration(0), 0
	lost := func(ctx context.Context, n *selector.Node) error {
		if hung++; hung > 1 {
			return op(ctx, n)
		}
		begin := b.Elapsed()
		err := b.Clock().Sleep(ctx, time.Hour)
		took = b.Elapsed() - begin
		return err
	}
	b.Run(func() {
		for i := range 300 {
			pause := work // half of what they can do
			if i >= 100 && i < 220 {
				pause = work / 4 // twice of it
			}
			b.Sleep(pause)
			b.Go(func() {
				f := op
				if i == 180 {
					f = lost
				}
				_ = c.Do(context.Background(), resilience.Safe("m"), f)
			})
		}
	})
	if took <= 150*ms || took > 2*time.Second {
		t.Errorf("it was cut after %v, want some time after its timeout", took)
	}
}

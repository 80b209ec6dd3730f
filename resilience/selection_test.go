package resilience_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// A client that runs out of ports or descriptors cannot dial some of the time,
// whichever the node: no node is to blame. In 70 s, chance takes one in a few
// runs of a hundred, as it does where answers are errors.
func TestTheClientsOwnDialTrouble(t *testing.T) {
	t.Parallel()
	for _, percent := range []int{10, 20, 30, 50} {
		runs, worst := 0, 0
		for seed := range uint64(20) {
			b := benchOf(seed, nil, nil, nil, nil, nil)
			c, err := b.Client(config{})
			if err != nil {
				t.Fatal(err)
			}
			most := 0
			b.Run(func() {
				for i := range 3500 {
					b.Sleep(20 * ms)
					_ = c.Do(t.Context(), resilience.Safe("m"), func(context.Context, *selector.Node) error {
						b.Sleep(2 * ms)
						if i > 500 && int(b.Clock().Rand()%100) < percent {
							return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("cannot assign requested address")}
						}
						return nil
					})
					out := 0
					for _, s := range c.Selector().Nodes() {
						if s.Ejected {
							out++
						}
					}
					most = max(most, out)
				}
			})
			if most > 0 {
				runs++
			}
			worst = max(worst, most)
			_ = c.Close()
		}
		if runs > 1 || worst > 1 {
			t.Errorf("%d %% of all dials fail: ejections in %d of 20 runs, at worst %d of 5 nodes at once", percent, runs, worst)
		}
	}
}

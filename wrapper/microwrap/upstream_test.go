package microwrap_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/server"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// relays is the client of a layer: three attempts, a budget of a fifth.
func relays() microwrap.Config {
	return microwrap.Config{Default: resilience.Config{Settings: resilience.Settings{
		Attempts: 3, Budget: resilience.BudgetSettings{Floor: -1}, Backoff: resilience.BackoffSettings{Initial: -1},
		Methods: map[string]resilience.MethodSettings{"Hello.Relay": {Idempotency: retry.Idempotent}},
	}}}
}

func (f *fleet) addrs() string {
	var list []string
	for _, n := range f.nodes {
		list = append(list, n.Addr)
	}
	return strings.Join(list, ",")
}

// Three real layers of three attempts, the bottom down: what reaches the bottom
// stays within the first layer's budget, a fifth of what succeeded, but for
// what those in flight at its end did not know of each other. Without Serve it
// does not.
func TestLayersDoNotMultiply(t *testing.T) {
	if testing.Short() {
		t.Skip("six real processes")
	}
	const healthy, ill, share, together = 400, 400, 0.2, 4
	for _, coordinated := range []bool{true, false} {
		t.Run("serve="+strconv.FormatBool(coordinated), func(t *testing.T) {
			var env []string
			if coordinated {
				env = []string{asLayer + "=1"}
			}
			bottom := start(t, 2)
			two := start(t, 1, append(env, belowIt+"="+bottom.addrs())...)
			one := start(t, 1, append(env, belowIt+"="+two.addrs())...)
			edge := dial(t, one.reg, relays())
			run := func(n int, text string) (failed int) {
				var bad atomic.Int64
				var all sync.WaitGroup
				for range together {
					all.Go(func() {
						for range n / together {
							if _, err := call(t, edge, "Hello.Relay", Request{ID: "x" + text, Text: text}); err != nil {
								bad.Add(1)
							}
						}
					})
				}
				all.Wait()
				return int(bad.Load())
			}
			if failed := run(healthy, ""); failed != 0 || bottom.effects(t)["x"] != healthy {
				t.Fatalf("healthy: %d failed, %d at the bottom", failed, bottom.effects(t)["x"])
			}
			if failed := run(ill, "down"); failed != ill {
				t.Fatalf("%d failed of %d with the bottom down", failed, ill)
			}
			extra := bottom.effects(t)["xdown"] - ill
			t.Logf("%d requests, %d retries at the bottom", ill, extra)
			switch most := int(share*healthy) + together*2; {
			case extra <= 0:
				t.Error("no retry reached the bottom: the bound means nothing")
			case coordinated && extra > most:
				t.Errorf("%d retries at the bottom, want at most %d, the first layer's budget", extra, most)
			case !coordinated && extra <= most:
				t.Errorf("%d retries at the bottom without Serve: within the bound of %d, which then shows nothing", extra, most)
			}
		})
	}
}

// Who is trusted is believed, nobody else.
func TestServe(t *testing.T) {
	t.Parallel()
	always := func(context.Context, server.Request) bool { return true }
	never := func(context.Context, server.Request) bool { return false }
	for name, tt := range map[string]struct {
		trusted func(context.Context, server.Request) bool
		md      metadata.Metadata
		seen    int64 // attempts of three calls made inside, each of which could be made twice
	}{
		"nothing said":  {trusted: always, seen: 6},
		"credit":        {trusted: always, md: metadata.Metadata{"X-Retry-Credit": "1"}, seen: 4},
		"no credit":     {trusted: always, md: metadata.Metadata{"X-Retry-Credit": "0"}, seen: 3},
		"no number":     {trusted: always, md: metadata.Metadata{"X-Retry-Credit": "-1"}, seen: 3},
		"a long number": {trusted: always, md: metadata.Metadata{"X-Retry-Credit": "99999999999999"}, seen: 3},
		"a stranger":    {trusted: never, md: metadata.Metadata{"X-Retry-Credit": "0"}, seen: 6},
		"nobody":        {md: metadata.Metadata{"X-Retry-Credit": "0"}, seen: 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, seen := wire(t, says(errDown))
			cfg := relays()
			cfg.Default.Attempts, cfg.Default.Budget = 2, resilience.BudgetSettings{Share: -1}
			cfg.Default.Ejection.Off = true
			c := dial(t, at(addr), cfg)
			h := microwrap.Serve(tt.trusted)(func(ctx context.Context, _ server.Request, _ any) error {
				for range 3 {
					_ = c.Call(ctx, c.NewRequest(service, "Hello.Relay", &Request{}), new(Response))
				}
				return nil
			})
			if err := h(metadata.NewContext(t.Context(), tt.md), nil, nil); err != nil || seen.Load() != tt.seen {
				t.Errorf("%v, %d attempts, want %d", err, seen.Load(), tt.seen)
			}
		})
	}
}

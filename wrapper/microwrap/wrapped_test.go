package microwrap_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/registry"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// dies closes the connection on each request that it has read.
func dies(*http.Request) (int, map[string]string, string) { return 0, nil, "" }

// Whatever stands between the wrapper and go-micro's call, what was sent is
// never taken for not sent.
func TestOthersInBetween(t *testing.T) {
	t.Parallel()
	forget := func(next client.CallFunc) client.CallFunc { // loses the metadata
		return func(ctx context.Context, node *registry.Node, req client.Request, rsp any, opts client.CallOptions) error {
			return next(metadata.NewContext(ctx, metadata.Metadata{}), node, req, rsp, opts)
		}
	}
	tr := microwrap.NewTransport(transport.NewHTTPTransport(transport.Logger(silent)))
	other := microwrap.NewTransport(transport.NewHTTPTransport(transport.Logger(silent)))
	twice := func(c client.Client) client.Client {
		return microwrap.New(microwrap.Config{})(microwrap.New(microwrap.Config{})(c))
	}
	once := microwrap.New(microwrap.Config{})
	for name, tt := range map[string]struct {
		wrap client.Wrapper
		opts []client.Option
	}{
		"wrapped":                       {wrap: once},
		"wrapped twice":                 {wrap: twice},
		"metadata lost":                 {wrap: once, opts: []client.Option{client.WrapCall(forget)}},
		"with the parts":                {wrap: once, opts: []client.Option{client.Transport(tr), client.WrapCall(tr.WrapCall)}},
		"parts of another transport":    {wrap: once, opts: []client.Option{client.Transport(tr), client.WrapCall(other.WrapCall)}},
		"the parts alone":               {opts: []client.Option{client.Transport(tr), client.WrapCall(tr.WrapCall)}},
		"the parts alone, and not last": {opts: []client.Option{client.Transport(tr), client.WrapCall(tr.WrapCall, forget)}},
		"not the client's transport":    {opts: []client.Option{client.WrapCall(tr.WrapCall)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, seen := wire(t, dies)
			another, _ := wire(t, dies)
			c := bare(at(addr, another), append(tt.opts, client.Retries(0))...)
			if tt.wrap != nil {
				c = tt.wrap(c)
			}
			for range 6 {
				before := seen.Load()
				_, err := call(t, c, "Hello.Register", Request{})
				if err == nil || resilience.Classify(t.Context(), err).Effect != retry.Possible || tt.wrap != nil && !resilience.IsAmbiguous(err) {
					t.Errorf("%v: want doubt", err)
				}
				if n := seen.Load() - before; n > 1 {
					t.Errorf("%d requests", n)
				}
			}
			if m, ok := c.(*microwrap.Client); ok {
				_ = m.Close()
			}
		})
	}
}

// Nor is it where the caller's time is over first, and go-micro says so.
func TestOthersInBetweenTakeLong(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	addr, seen := wire(t, func(*http.Request) (int, map[string]string, string) {
		<-release
		return 0, nil, ""
	})
	defer close(release)
	forget := func(next client.CallFunc) client.CallFunc {
		return func(ctx context.Context, node *registry.Node, req client.Request, rsp any, opts client.CallOptions) error {
			return next(metadata.NewContext(ctx, metadata.Metadata{}), node, req, rsp, opts)
		}
	}
	tr := microwrap.NewTransport(transport.NewHTTPTransport(transport.Logger(silent)))
	c := bare(at(addr), client.Transport(tr), client.WrapCall(tr.WrapCall, forget), client.Retries(0))
	var rsp Response
	err := c.Call(t.Context(), c.NewRequest(service, "Hello.Register", &Request{}), &rsp, func(o *client.CallOptions) { o.ConnectionTimeout = 100 * time.Millisecond })
	if o := resilience.Classify(t.Context(), err); err == nil || o.Effect != retry.Possible || seen.Load() != 1 {
		t.Errorf("%v, %v, %d requests: want one, in doubt", err, o.Effect, seen.Load())
	}
}

// A call wrapper of the user's sees the node as the registry has it, and may
// answer by itself.
func TestUsersCallWrapper(t *testing.T) {
	t.Parallel()
	addr, seen := wire(t, good)
	var mu sync.Mutex
	var nodes []string
	mode := ""
	watch := func(next client.CallFunc) client.CallFunc {
		return func(ctx context.Context, node *registry.Node, req client.Request, rsp any, opts client.CallOptions) error {
			mu.Lock()
			nodes = append(nodes, node.Id+" "+node.Metadata["protocol"])
			mu.Unlock()
			switch mode {
			case "answers":
				rsp.(*Response).Node = "cache"
				return nil
			case "fails":
				return errDown
			case "knows":
				return resilience.Mark(errDown, resilience.Failed)
			}
			return next(ctx, node, req, rsp, opts)
		}
	}
	c := dial(t, at(addr), microwrap.Config{}, client.WrapCall(watch))
	for _, tt := range []struct {
		mode, node string
		sent       int64
		ambiguous  bool
	}{{mode: "", node: "good", sent: 1}, {mode: "answers", node: "cache"}, {mode: "fails", ambiguous: true}, {mode: "knows"}} {
		mode = tt.mode
		before := seen.Load()
		rsp, err := call(t, c, "Hello.Register", Request{})
		if rsp.Node != tt.node || (err == nil) != (tt.node != "") || seen.Load()-before != tt.sent || resilience.IsAmbiguous(err) != tt.ambiguous {
			t.Errorf("%q: %+v, %v, %d sent", tt.mode, rsp, err, seen.Load()-before)
		}
	}
	for _, n := range nodes {
		if n != addr+" mucp" {
			t.Errorf("node %q", n)
		}
	}
}

// Wrapped twice, a call is tried as often as once.
func TestWrappedTwice(t *testing.T) {
	t.Parallel()
	var dials atomic.Int64
	tr := dialCounter{transport.NewHTTPTransport(transport.Logger(silent)), &dials}
	wrap := microwrap.New(microwrap.Config{})
	inner := wrap(bare(at(free(t), free(t)), client.Transport(tr)))
	c := wrap(inner).(*microwrap.Client)
	_, err := call(t, c, "Hello.Register", Request{})
	if err == nil || resilience.IsAmbiguous(err) || dials.Load() != 3 {
		t.Errorf("%d dials, want 3; %v", dials.Load(), err)
	}
	var e, within *microwrap.Error
	if !errors.As(err, &e) || errors.As(e.Call.Err, &within) {
		t.Errorf("%v: want one that is not in another", err)
	}
	if err := errors.Join(c.Close(), inner.(*microwrap.Client).Close()); err != nil {
		t.Error(err)
	}
}

type dialCounter struct {
	transport.Transport
	n *atomic.Int64
}

func (d dialCounter) Dial(addr string, opts ...transport.DialOption) (transport.Client, error) {
	d.n.Add(1)
	return d.Transport.Dial(addr, opts...)
}

package grpcwrap

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/internal/keys"
)

// Config describes what is put under a grpc.ClientConn. The zero Config is
// good: nodes are what the target resolves to.
type Config struct {
	// Config is the client's. Settings.Methods are named as gRPC names methods,
	// "/users.Users/Get". With Nodes, the target is "holdfast:///users", say,
	// and they are its addresses; without, any resolver says where the nodes
	// are. Fallback cannot answer with a message and is refused; OwnCut is set.
	resilience.Config

	// AssumeServerDeduplicates adds an idempotency key, a random UUID, to unary
	// calls of methods that are neither safe nor idempotent and carry none, and
	// treats them as repeatable. That is right only if the service carries out
	// each key once. Default false.
	AssumeServerDeduplicates bool

	// StreamBuffer is how many bytes of sent messages a stream keeps for
	// another attempt, until its first answer. A stream that has sent more is
	// not tried again. Default 64 KiB, negative: keep none.
	StreamBuffer int

	// MaxPushback is the longest grpc-retry-pushback-ms that is waited for;
	// with a longer one the call ends. Default 30 s.
	MaxPushback time.Duration
}

// Validate returns all that is wrong, joined.
func (cfg Config) Validate() error {
	var errs []error
	if cfg.Fallback != nil {
		errs = append(errs, errors.New("fallback: want nil, since it cannot answer with a message; put it around the call"))
	}
	if cfg.MaxPushback < 0 {
		errs = append(errs, fmt.Errorf("maxPushback %v: want 0 (default 30s) or more", cfg.MaxPushback))
	}
	return errors.Join(append(errs, cfg.Config.Validate())...)
}

// Client is the resilience of one grpc.ClientConn. Make one by [New], or leave
// it to [DialOptions]. It is safe for concurrent use.
type Client struct {
	cfg    Config // with defaults
	client *resilience.Client
	nodes  nodes
	pick   atomic.Pointer[map[string]*subchannel] // by the node's ID; nil: nothing was resolved yet
	tree   atomic.Pointer[tree]                   // the latest
	pushes pushes                                 // of Config.Nodes, to the resolver

	id       uint64
	claimed  atomic.Bool // by the one ClientConn
	lifetime keys.Lifetime
	follow   sync.Once
	work     clock.Real
}

// New makes a Client. It returns one error that lists everything that is wrong
// with cfg. Node sources belong to it.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		err = fmt.Errorf("grpcwrap: %w", err)
		if cfg.Nodes != nil {
			err = errors.Join(err, cfg.Nodes.Close())
		}
		return nil, err
	}
	if cfg.StreamBuffer == 0 {
		cfg.StreamBuffer = 64 << 10
	}
	if cfg.MaxPushback == 0 {
		cfg.MaxPushback = 30 * time.Second
	}
	c := &Client{cfg: cfg}
	if cfg.Nodes != nil {
		c.pushes.source = cfg.Nodes
		if err := cfg.Nodes.Watch(c.pushes.report); err != nil {
			return nil, errors.Join(fmt.Errorf("grpcwrap: source: %w", err), cfg.Nodes.Close())
		}
	}
	rc := cfg.Config
	rc.Nodes, rc.OwnCut = &c.nodes, true
	rc.OnNode = func(e selector.Event) {
		if e.Kind == selector.Ejected { // what is wrong may be the connection, which a probe would meet again
			c.work.Go(func() { c.renew(e.Node.ID, 0) })
		}
		if cfg.OnNode != nil {
			cfg.OnNode(e)
		}
	}
	var err error
	if c.client, err = resilience.New(rc); err != nil {
		return nil, errors.Join(fmt.Errorf("grpcwrap: %w", err), c.pushes.close())
	}
	register(c)
	return c, nil
}

// DialOptions puts resilience under one ClientConn:
//
//	conn, err := grpc.NewClient(target, append(grpcwrap.DialOptions(cfg), creds)...)
//
// What is wrong with cfg is NewClient's error; to have it as a value, or to
// keep the [Client], use New. The options are good for one ClientConn, which
// the client ends with.
func DialOptions(cfg Config) []grpc.DialOption {
	c, err := New(cfg)
	if err != nil {
		return refusing(err)
	}
	return c.DialOptions()
}

// DialOptions are what makes a ClientConn use c, one only. Options that come
// after them must not name a default service config.
func (c *Client) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		// The balancer is ours, and so are retries: what a resolver's service
		// config says of either would take them from us.
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(c.serviceConfig()),
		grpc.WithDisableRetry(),
		grpc.WithConnectParams(reconnect),
		grpc.WithResolvers(builder{c}),
		grpc.WithChainUnaryInterceptor(c.unary),
		grpc.WithChainStreamInterceptor(c.stream),
	}
}

// renew gives a node another connection.
func (c *Client) renew(id string, least time.Duration) {
	if t := c.tree.Load(); t != nil {
		t.renew(id, least)
	}
}

// Resilience is the client underneath, for its status, settings and updates.
func (c *Client) Resilience() *resilience.Client { return c.client }

// Close ends the node source. Calls fail with selector.ErrClosed afterwards.
// It need not be called where the ClientConn is closed, unless that has never
// made a call.
func (c *Client) Close() error {
	unregister(c)
	return errors.Join(c.client.Close(), c.pushes.close())
}

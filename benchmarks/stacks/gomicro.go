// Package stacks has the client libraries that experiments put under test,
// one file each: holdfast, and its peers as they are meant to be used.
package stacks

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"go-micro.dev/v5/broker"
	"go-micro.dev/v5/client"
	merrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/logger"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/registry"
	"go-micro.dev/v5/selector"
	"go-micro.dev/v5/server"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// GoMicro is go-micro v5.3.0 as the project's seed used it: its client with
// Retries(3) and a Retry that always says true, its registry selector with
// random choice, its HTTP transport and its server. All else is at go-micro's
// defaults. The registry is the one in memory, filled by hand in the client's
// process, since processes share none without a network service; like the
// seed's it goes on listing an instance that was killed.
type GoMicro struct{}

const (
	microService = "hello"
	microAttempt = "X-Retry-Attempt"
)

// Name implements harness.Stack.
func (GoMicro) Name() string { return "go-micro" }

// Info implements harness.Stack.
func (GoMicro) Info() harness.Info {
	return harness.Info{
		What: "go-micro v5.3.0's client as the project's seed had it: Retries(3), a Retry that always says true",
		Config: "client.Retries(3), client.Retry(client.RetryAlways), selector.SetStrategy(selector.Random), " +
			"transport.NewHTTPTransport(), registry.NewMemoryRegistry(); all else at go-micro's defaults",
	}
}

func microEndpoint(route harness.Route) string {
	switch route {
	case harness.Post:
		return "Hello.Register"
	case harness.List:
		return "Hello.List"
	}
	return "Hello.Greet"
}

// microHandler has the endpoints; request and response are a JSON string each.
type microHandler struct{ hello *harness.Hello }

// Greet answers harness.Get.
func (h *microHandler) Greet(ctx context.Context, id, node *string) error {
	return h.serve(ctx, harness.Get, id, node)
}

// Register answers harness.Post.
func (h *microHandler) Register(ctx context.Context, id, node *string) error {
	return h.serve(ctx, harness.Post, id, node)
}

// List answers harness.List.
func (h *microHandler) List(ctx context.Context, id, node *string) error {
	return h.serve(ctx, harness.List, id, node)
}

func (h *microHandler) serve(ctx context.Context, route harness.Route, id, node *string) (err error) {
	attempt := 1
	if n, ok := metadata.Get(ctx, microAttempt); ok {
		if attempt, err = strconv.Atoi(n); err != nil {
			return err
		}
	}
	peer, _ := metadata.Get(ctx, "Remote")
	*node, err = h.hello.Serve(ctx, harness.Request{Route: route, ID: *id, Attempt: attempt, Peer: peer})
	return err
}

// Serve implements harness.Stack.
func (GoMicro) Serve(l net.Listener, hello *harness.Hello) error {
	s := server.NewRPCServer(
		server.Name(microService),
		server.Id(hello.Node()),
		server.Address(l.Addr().String()),
		server.ListenOption(transport.NetListener(l)),
		server.Transport(transport.NewHTTPTransport(transport.Logger(silent))),
		server.Registry(registry.NewMemoryRegistry(registry.Logger(silent))),
		server.Broker(broker.NewMemoryBroker(broker.Logger(silent))),
		server.WithLogger(silent),
	)
	type Hello struct{ *microHandler } // go-micro takes the endpoints' names from it
	if err := s.Handle(s.NewHandler(&Hello{&microHandler{hello}})); err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	select {} // it serves to the end of the process, and has no way to say that it ended
}

// silent drops go-micro's log, which prints a line an attempt while a node is
// dead.
var silent = logger.NewLogger(logger.WithLevel(logger.FatalLevel))

// Dial implements harness.Stack.
func (GoMicro) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	m := &microClient{ids: make(map[string]string, len(cfg.Nodes)), journal: cfg.Journal}
	for _, n := range cfg.Nodes {
		m.ids[n.Addr] = n.ID
	}
	var err error
	m.client, err = dialMicro(cfg, client.WrapCall(m.watch))
	return m, err
}

// dialMicro is the client of the project's seed, and what is added to it.
func dialMicro(cfg harness.ClientConfig, more ...client.Option) (client.Client, error) {
	service := &registry.Service{Name: microService, Version: "latest"}
	for _, n := range cfg.Nodes {
		service.Nodes = append(service.Nodes, &registry.Node{
			Id: microService + "-" + n.ID, Address: n.Addr, Metadata: map[string]string{"protocol": "mucp"},
		})
	}
	reg := registry.NewMemoryRegistry(registry.Logger(silent))
	if err := reg.Register(service); err != nil {
		return nil, err
	}
	return client.NewClient(append([]client.Option{
		client.Selector(selector.NewSelector(selector.Registry(reg), selector.SetStrategy(selector.Random))),
		client.Registry(reg),
		client.Transport(transport.NewHTTPTransport(transport.Logger(silent))),
		client.Broker(broker.NewMemoryBroker(broker.Logger(silent))),
		client.WithLogger(silent),
		client.Retries(3),
		client.Retry(client.RetryAlways),
	}, more...)...), nil
}

// microClient is go-micro's client and what it does, as seen from within its
// retry loop.
type microClient struct {
	client  client.Client
	ids     map[string]string // by address
	journal *harness.Journal
}

// microCall is one call, kept in its context.
type microCall struct {
	id    string
	route harness.Route

	mu       sync.Mutex
	attempts int
	notSent  bool // the last attempt that ended was not
}

type microCallKey struct{}

// Do implements harness.Client.
func (m *microClient) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	ctx = context.WithValue(ctx, microCallKey{}, &microCall{id: id, route: route})
	var node string
	err := m.client.Call(ctx, m.client.NewRequest(microService, microEndpoint(route), id), &node)
	return node, err
}

// Ambiguous implements harness.Client: go-micro does not tell.
func (*microClient) Ambiguous(error) bool { return false }

// Close implements harness.Client. go-micro's client has nothing to close.
func (*microClient) Close() error { return nil }

// watch numbers the attempts of a call and writes them to the journal.
func (m *microClient) watch(next client.CallFunc) client.CallFunc {
	return func(ctx context.Context, node *registry.Node, req client.Request, rsp any, opts client.CallOptions) error {
		call := ctx.Value(microCallKey{}).(*microCall)
		call.mu.Lock()
		call.attempts++
		e := harness.Entry{
			Kind: harness.TriedNode, Route: call.route, ID: call.id, Attempt: call.attempts,
			Node: m.ids[node.Address], Start: time.Now(),
		}
		notSent := call.notSent
		call.mu.Unlock()
		if e.Attempt > 1 {
			m.journal.Add(harness.Entry{
				Kind: harness.Retried, Route: e.Route, ID: e.ID, Attempt: e.Attempt, Node: e.Node, End: e.Start, NotSent: notSent,
			})
		}
		err := next(metadata.Set(ctx, microAttempt, strconv.Itoa(e.Attempt)), node, req, rsp, opts)
		e.End = time.Now()
		if err != nil {
			e.Detail, e.NotSent = err.Error(), notDialed(err)
		}
		m.journal.Add(e)
		call.mu.Lock()
		call.notSent = e.NotSent
		call.mu.Unlock()
		return err
	}
}

// notDialed reports whether go-micro got no connection. Its text is the only
// evidence; it would be the same for a server that failed to dial another, but
// hello calls nobody.
func notDialed(err error) bool {
	var e *merrors.Error
	return errors.As(err, &e) && e.Id == "go.micro.client" && strings.HasPrefix(e.Detail, "connection error:")
}

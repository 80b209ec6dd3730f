package microwrap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go-micro.dev/v5/broker"
	"go-micro.dev/v5/client"
	merrors "go-micro.dev/v5/errors"
	"go-micro.dev/v5/logger"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/registry"
	mselector "go-micro.dev/v5/selector"
	"go-micro.dev/v5/server"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/realserver"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// The test binary plays the servers that are killed, too.
func TestMain(m *testing.M) {
	if os.Getenv(asUserAPI) != "" {
		userAPI(os.Args[1])
		return
	}
	if os.Getenv(asServer) != "" {
		serve(os.Args[1], os.Args[2], os.Args[3])
		return
	}
	// go-micro's configuration, which package micro brings along, has goroutines
	// of its own, and starts one of them late.
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
		if strings.Contains(string(buf[:runtime.Stack(buf, true)]), "created by go-micro.dev/v5/config.(*config).run in goroutine") {
			break
		}
	}
	leaktest.Main(m)
}

const (
	asServer = "MICROWRAP_TEST_AS_SERVER"
	asLayer  = "MICROWRAP_TEST_AS_LAYER" // it keeps to its caller's account
	belowIt  = "MICROWRAP_TEST_BELOW"    // addresses that it calls
	service  = "hello"
)

// Request says what the server is to do.
type Request struct {
	ID    string
	Sleep time.Duration // after the effect
	Text  string        // fail with it
	Code  int32         // of that error; 0: the text alone
	Die   bool          // end without an answer, after the effect
}

// Response says what the server has seen.
type Response struct {
	Node    string
	Key     string
	Attempt string
	Left    time.Duration // to the deadline
	Extra   *string
}

// Hello is the service.
type Hello struct {
	node   string
	ledger *os.File
	below  client.Client // nil: nobody
}

// Greet changes nothing.
func (h *Hello) Greet(ctx context.Context, req *Request, rsp *Response) error {
	return h.answer(ctx, req, rsp)
}

// Register has an effect, which the ledger knows.
func (h *Hello) Register(ctx context.Context, req *Request, rsp *Response) error {
	if _, err := h.ledger.WriteString(req.ID + "\n"); err != nil {
		return err
	}
	return h.answer(ctx, req, rsp)
}

// Relay asks the layer below, or is the bottom and has an effect.
func (h *Hello) Relay(ctx context.Context, req *Request, rsp *Response) error {
	if h.below == nil {
		return h.Register(ctx, req, rsp)
	}
	return h.below.Call(ctx, h.below.NewRequest(service, "Hello.Relay", req), rsp)
}

func (h *Hello) answer(ctx context.Context, req *Request, rsp *Response) error {
	<-time.After(req.Sleep)
	if req.Die {
		os.Exit(3)
	}
	if req.Code != 0 {
		return merrors.New("hello", req.Text, req.Code)
	}
	if req.Text != "" {
		return errors.New(req.Text)
	}
	rsp.Node = h.node
	rsp.Key, _ = metadata.Get(ctx, microwrap.KeyName)
	rsp.Attempt, _ = metadata.Get(ctx, "X-Retry-Attempt")
	if d, ok := ctx.Deadline(); ok {
		rsp.Left = time.Until(d)
	}
	return nil
}

// silent drops go-micro's log.
var silent = logger.NewLogger(logger.WithLevel(logger.FatalLevel))

// serve is the server's process: SIGINT drains it.
func serve(node, port, ledger string) {
	f, err := os.OpenFile(ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	check(err)
	h := &Hello{node: node, ledger: f}
	t := microwrap.NewTransport(transport.NewHTTPTransport(transport.Logger(silent)))
	var serve server.HandlerWrapper = func(next server.HandlerFunc) server.HandlerFunc { return next }
	if below := os.Getenv(belowIt); below != "" {
		h.below = microwrap.New(relays())(bare(at(strings.Split(below, ",")...)))
	}
	if os.Getenv(asLayer) != "" {
		serve = microwrap.Serve(func(context.Context, server.Request) bool { return true })
	}
	s := server.NewRPCServer(
		server.Name(service), server.Id(node), server.Address("127.0.0.1:"+port),
		server.Transport(t), server.WrapHandler(serve),
		server.Registry(registry.NewMemoryRegistry(registry.Logger(silent))),
		server.Broker(broker.NewMemoryBroker(broker.Logger(silent))),
		server.WithLogger(silent), server.Wait(nil),
	)
	check(s.Handle(s.NewHandler(h)))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	check(s.Start())
	<-signals
	check(s.Stop())
	os.Exit(0)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// node is one server process.
type node struct {
	*realserver.Server
	id string
}

func (n *node) entry() *registry.Node {
	return &registry.Node{Id: n.id, Address: n.Addr, Metadata: map[string]string{"protocol": "mucp"}}
}

// fleet is some servers, and where they write down their effects.
type fleet struct {
	nodes  []*node
	ledger string
	reg    *directory
}

func start(t testing.TB, n int, env ...string) *fleet {
	t.Helper()
	f := &fleet{ledger: filepath.Join(t.TempDir(), "ledger"), reg: new(directory)}
	for i := range n {
		id := "hello-" + strconv.Itoa(i+1)
		build := func(port string) (*exec.Cmd, error) {
			cmd := exec.CommandContext(context.Background(), os.Args[0], id, port, f.ledger)
			cmd.Env = append(append(os.Environ(), asServer+"=1"), env...)
			return cmd, nil
		}
		ping := func(ctx context.Context, addr string) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return conn.Close()
		}
		s, err := realserver.Program(build, ping)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		f.nodes = append(f.nodes, &node{s, id})
	}
	f.list(f.nodes...)
	return f
}

// list registers these nodes, and no other.
func (f *fleet) list(nodes ...*node) {
	s := &registry.Service{Name: service, Version: "latest"}
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, n.entry())
	}
	f.reg.set(s)
}

// effects counts those of each call.
func (f *fleet) effects(t testing.TB) map[string]int {
	t.Helper()
	data, err := os.ReadFile(f.ledger)
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[string]int)
	for line := range strings.Lines(string(data)) {
		n[strings.TrimSpace(line)]++
	}
	return n
}

// dial is a go-micro client of the registry, wrapped.
func dial(t testing.TB, reg registry.Registry, cfg microwrap.Config, opts ...client.Option) *microwrap.Client {
	t.Helper()
	c := microwrap.New(cfg)(bare(reg, opts...)).(*microwrap.Client)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func bare(reg registry.Registry, opts ...client.Option) client.Client {
	return client.NewClient(append([]client.Option{
		client.Selector(lister{reg}), client.Registry(reg),
		client.Transport(transport.NewHTTPTransport(transport.Logger(silent))),
		client.Broker(broker.NewMemoryBroker(broker.Logger(silent))),
		client.WithLogger(silent),
	}, opts...)...)
}

// settings of a client that knows what Greet is.
func settings() resilience.Settings {
	return resilience.Settings{Methods: map[string]resilience.MethodSettings{"Hello.Greet": {Idempotency: 1}}}
}

// call makes a call within a second, or the time that is given.
func call(t testing.TB, c client.Client, endpoint string, req Request, within ...time.Duration) (Response, error) {
	t.Helper()
	d := 5 * time.Second
	if len(within) > 0 {
		d = within[0]
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var rsp Response
	err := c.Call(ctx, c.NewRequest(service, endpoint, &req), &rsp)
	return rsp, err
}

// lister is go-micro's selector, without the cache that leaves goroutines.
type lister struct{ reg registry.Registry }

func (l lister) Init(...mselector.Option) error   { return nil }
func (l lister) Options() mselector.Options       { return mselector.Options{Registry: l.reg} }
func (lister) Mark(string, *registry.Node, error) {}
func (lister) Reset(string)                       {}
func (lister) Close() error                       { return nil }
func (lister) String() string                     { return "lister" }
func (l lister) Select(service string, _ ...mselector.SelectOption) (mselector.Next, error) {
	services, err := l.reg.GetService(service)
	if err != nil {
		return nil, err
	}
	return mselector.Random(services), nil
}

// directory is a registry whose state the test sets.
type directory struct {
	registry.Registry

	mu       sync.Mutex
	services []*registry.Service
	err      error
	watchErr error
	watchers map[*watcher]bool
	watched  int // how often Watch was called
	read     int // how often GetService was
}

type watcher struct {
	d     *directory
	news  chan struct{}
	ended chan struct{}
	once  sync.Once
}

func (d *directory) String() string            { return "directory" }
func (d *directory) Options() registry.Options { return registry.Options{} }

func (d *directory) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read++
	if d.err != nil {
		return nil, d.err
	}
	var found []*registry.Service
	for _, s := range d.services {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, registry.ErrNotFound
	}
	return found, nil
}

func (d *directory) Watch(...registry.WatchOption) (registry.Watcher, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched++
	if d.watchErr != nil {
		return nil, d.watchErr
	}
	w := &watcher{d: d, news: make(chan struct{}, 100), ended: make(chan struct{})}
	if d.watchers == nil {
		d.watchers = make(map[*watcher]bool)
	}
	d.watchers[w] = true
	return w, nil
}

func (w *watcher) Next() (*registry.Result, error) {
	select {
	case <-w.news:
		return &registry.Result{Action: "update"}, nil
	case <-w.ended:
		return nil, registry.ErrWatcherStopped
	}
}

func (w *watcher) Stop() {
	w.once.Do(func() { close(w.ended) })
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	delete(w.d.watchers, w)
}

// set changes what there is and tells those who watch.
func (d *directory) set(services ...*registry.Service) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.services, d.err = services, nil
	d.tell()
}

func (d *directory) tell() {
	for w := range d.watchers {
		w.news <- struct{}{}
	}
}

// fail makes the registry unreachable; breakOff ends the watches.
func (d *directory) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	d.tell()
}

func (d *directory) breakOff(err error) {
	d.mu.Lock()
	all := d.watchers
	d.watchers, d.watchErr = nil, err
	d.mu.Unlock()
	for w := range all {
		w.once.Do(func() { close(w.ended) })
	}
}

// ids are the nodes that the client knows of a service.
func ids(c *microwrap.Client) []string {
	var list []string
	for _, s := range c.Resilience(service).Selector().Nodes() {
		list = append(list, s.Node.ID)
	}
	return list
}

func registryOption(reg registry.Registry) []client.Option {
	return []client.Option{client.Selector(lister{reg}), client.Registry(reg)}
}

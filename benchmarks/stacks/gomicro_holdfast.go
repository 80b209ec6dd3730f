package stacks

import (
	"context"
	"errors"
	"sync"
	"time"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// GoMicroHoldfast is [GoMicro] with one line added: client.Wrap with
// microwrap.New. The line says of the two endpoints that change nothing that
// they are safe; all else is at the defaults. Calls carry no idempotency key.
type GoMicroHoldfast struct{ GoMicro }

// Name implements harness.Stack.
func (GoMicroHoldfast) Name() string { return "go-micro+holdfast" }

// Info implements harness.Stack.
func (GoMicroHoldfast) Info() harness.Info {
	info := GoMicro{}.Info()
	return harness.Info{
		What:   "go-micro v5.3.0's client as the project's seed had it, with one line added: client.Wrap(microwrap.New(…))",
		Config: info.Config + `; client.Wrap(microwrap.New(…)) with Hello.Greet and Hello.List declared safe, else resilience.Settings{}`,
	}
}

// Dial implements harness.Stack.
func (GoMicroHoldfast) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	m := &microHoldfast{journal: holdfastClient{journal: cfg.Journal, prefix: microService + "-"}}
	safe := resilience.MethodSettings{Idempotency: retry.Safe}
	wrapped := microwrap.Config{Default: resilience.Config{
		Settings:    resilience.Settings{Methods: map[string]resilience.MethodSettings{microEndpoint(harness.Get): safe, microEndpoint(harness.List): safe}},
		OnNode:      m.journal.node,
		Observer:    cfg.Observer,
		WrapAttempt: []resilience.Wrapper{m.journal.watch},
	}}
	t := &bornTransport{Transport: transport.NewHTTPTransport(transport.Logger(silent)), calls: &m.calls}
	var err error
	m.client, err = dialMicro(cfg, client.Transport(t), client.Wrap(microwrap.New(wrapped)))
	return m, err
}

// microHoldfast is the wrapped client. What it does is written down as
// [Holdfast]'s is.
type microHoldfast struct {
	client  client.Client
	journal holdfastClient
	calls   sync.Map // *holdfastCall, by its ID
}

// microCallID is the metadata by which a connection knows whose request it is.
const microCallID = "Harness-Call"

// Do implements harness.Client.
func (m *microHoldfast) Do(ctx context.Context, route harness.Route, id string) (string, error) {
	call := &holdfastCall{id: id, route: route}
	m.calls.Store(id, call)
	defer m.calls.Delete(id)
	ctx = metadata.Set(context.WithValue(ctx, holdfastCallKey{}, call), microCallID, id)
	var node string
	err := m.client.Call(ctx, m.client.NewRequest(microService, microEndpoint(route), id), &node)
	return node, err
}

// Ambiguous implements harness.Client.
func (*microHoldfast) Ambiguous(err error) bool { return resilience.IsAmbiguous(err) }

// Close implements harness.Client.
func (m *microHoldfast) Close() error {
	if c, ok := m.client.(*microwrap.Client); ok {
		return c.Close()
	}
	return errors.New("the client is not wrapped")
}

// bornTransport makes connections that know their age, and tells it to the
// calls that are sent on them.
type bornTransport struct {
	transport.Transport
	calls *sync.Map
}

type bornSocket struct {
	transport.Client
	born  time.Time
	calls *sync.Map
}

// Dial implements transport.Transport.
func (t *bornTransport) Dial(addr string, opts ...transport.DialOption) (transport.Client, error) {
	born := time.Now()
	next, err := t.Transport.Dial(addr, opts...)
	if err != nil {
		return nil, err
	}
	return &bornSocket{next, born, t.calls}, nil
}

// Send implements transport.Client.
func (s *bornSocket) Send(m *transport.Message) error {
	if call, ok := s.calls.Load(m.Header[microCallID]); ok {
		call.(*holdfastCall).sentOn(s.born)
	}
	return s.Client.Send(m)
}

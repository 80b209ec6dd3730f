package microwrap

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/server"
	"go-micro.dev/v5/transport"
	"go-micro.dev/v5/transport/headers"

	"github.com/holdfast-go/holdfast/resilience"
)

// What client and server tell each other about retries, in the metadata, as
// decimal numbers.
const (
	attemptName = "X-Retry-Attempt" // which attempt a request is, from the second on
	creditName  = "X-Retry-Credit"  // how many retries its server may make on the caller's account
	spentName   = "X-Retry-Spent"   // how many were made, in all layers underneath: in the answer
)

// servedName is the metadata by which [Serve] finds the connection that the
// answer goes to. It does not leave the process.
const servedName = "Holdfast-Served"

// foreign are the metadata that a handler's context has of the request that is
// being served, and that say nothing about calls made inside.
var foreign = [...]string{KeyName, attemptName, creditName, spentName, servedName, flightName}

// told returns the metadata of one attempt: with what the server has to know of
// the call's retries. Those of the attempt before may still be read: they are
// not touched.
func (a *attempt) told(ctx context.Context, call *resilience.Call) metadata.Metadata {
	md := a.x.md
	if call.Attempt > 1 {
		md = metadata.Copy(md)
		md[attemptName] = strconv.Itoa(call.Attempt)
	}
	if credit, limited := call.Credit(ctx); limited {
		md[creditName] = strconv.Itoa(credit)
	} else {
		delete(md, creditName)
	}
	return md
}

// number reads one, 0 where there is none. Nobody has to do with more digits.
func number(text string) int {
	if len(text) > 6 {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// Serve is the server's half against retries that multiply from layer to
// layer: calls that a handler makes with its context, through any holdfast
// client, are retried on the account of the request's caller (see
// [resilience.WithUpstream]), and the answer tells what they have spent, if the
// server's transport is a [Transport]:
//
//	t := microwrap.NewTransport(transport.NewHTTPTransport())
//	server.NewRPCServer(server.Transport(t), server.WrapHandler(microwrap.Serve(trusted)))
//
// Only callers for which trusted is true are believed, and told; nil trusts
// nobody. It should be true for services of one's own and false for whoever
// comes from outside; the metadata "Remote" say who it is.
func Serve(trusted func(context.Context, server.Request) bool) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		if trusted == nil {
			return next
		}
		return func(ctx context.Context, req server.Request, rsp any) error {
			if !trusted(ctx, req) {
				return next(ctx, req, rsp)
			}
			md, _ := metadata.FromContext(ctx)
			up := resilience.Upstream{Attempt: number(md[attemptName])}
			if credit, ok := md[creditName]; ok {
				up.Limited, up.Credit = true, number(credit)
			}
			ctx, account := resilience.WithUpstream(ctx, up)
			if s, ok := serving.Load(md[servedName]); ok {
				s.(*served).account.Store(account)
			}
			return next(ctx, req, rsp)
		}
	}
}

// serving are the requests that sockets wait for the answer of, by name.
var (
	serving    sync.Map // string → *served
	servedLast atomic.Uint64
)

// served is a request on its way through the server.
type served struct {
	name    string
	account atomic.Pointer[resilience.Account] // nil: its caller is not trusted
}

// Listen implements transport.Transport, for the answers of [Serve].
func (t *Transport) Listen(addr string, opts ...transport.ListenOption) (transport.Listener, error) {
	l, err := t.Transport.Listen(addr, opts...)
	if err != nil {
		return nil, err
	}
	return listener{l}, nil
}

type listener struct{ transport.Listener }

// Accept implements transport.Listener.
func (l listener) Accept(serve func(transport.Socket)) error {
	return l.Listener.Accept(func(next transport.Socket) {
		s := &socket{Socket: next}
		defer s.turn(nil)
		serve(s)
	})
}

// socket is a connection on the server's side. go-micro's clients have one
// request at a time on it.
type socket struct {
	transport.Socket

	mu  sync.Mutex
	now *served
}

// turn goes on to another request.
func (s *socket) turn(to *served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		serving.Delete(s.now.name)
	}
	s.now = to
}

// Recv implements transport.Socket.
func (s *socket) Recv(m *transport.Message) error {
	if err := s.Socket.Recv(m); err != nil {
		return err
	}
	r := &served{name: strconv.FormatUint(servedLast.Add(1), 36)}
	if m.Header == nil {
		m.Header = make(map[string]string)
	}
	m.Header[servedName] = r.name
	// go-micro's server keeps requests apart by this header, and looks for it
	// under a name that HTTP does not keep. Without it a request that comes
	// right behind an answer is taken for a part of the last one, and lost.
	if id, ok := m.Header[http.CanonicalHeaderKey(headers.ID)]; ok {
		m.Header[headers.ID] = id
	}
	serving.Store(r.name, r)
	s.turn(r)
	return nil
}

// Send implements transport.Socket.
func (s *socket) Send(m *transport.Message) error {
	s.mu.Lock()
	now := s.now
	s.mu.Unlock()
	if now == nil {
		return s.Socket.Send(m)
	}
	if a := now.account.Load(); a != nil && a.Retries() > 0 {
		if m.Header == nil {
			m.Header = make(map[string]string)
		}
		m.Header[spentName] = strconv.Itoa(a.Retries())
	}
	return s.Socket.Send(m)
}

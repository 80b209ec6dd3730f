package grpcwrap

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// attempt is one RPC to one node, and the context that it runs under: by it
// the picker knows where to go.
type attempt struct {
	context.Context
	c      *Client
	node   *selector.Node // nil: only asks whether nodes are known
	tells  metadata.MD    // what the server is told of the call's retries
	kind   retry.Idempotency
	cancel context.CancelCauseFunc // nil: nobody but the caller ends it
	stream *stream                 // nil: unary
	held   selector.Held           // of a stream: the node is busy until it ends
	phase  atomic.Uint32
	direct bool // it goes out at once or not at all: nothing to cut

	mu      sync.Mutex
	life    <-chan struct{} // of gRPC's own stream, by which it is known again
	lookups int             // how often gRPC wanted a connection
	refusal error           // what Pick has ended it with
	gone    bool            // for no fault of the node's
	ended   bool            // done was called
	info    ending
	replay  bool // gRPC was about to send again what certainly was not processed
	spoiled bool // an interceptor has sent more than one RPC
}

// ending is what a picker is told at the end of gRPC's stream.
type ending struct {
	err            error
	sent, received bool
	trailer        metadata.MD
}

// The phases of an attempt.
const (
	unsent   uint32 = iota // no connection was obtained yet: nothing can have been sent
	sent                   // it may have been
	answered               // of a stream: it is not cut any more
	cutOff                 // cut before a connection was obtained: it must not be sent
	cutLate                // cut when it may have been sent
)

type attemptKey struct{}

// Value implements context.Context.
func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// bind gives the attempt its context, and the timeout something to cut. A
// unary call's ends before the caller's does. A context of its own costs five
// allocations, which an attempt does without that must not be cut once it is
// sent, and has a connection to be sent on.
func (a *attempt) bind(ctx context.Context, call *resilience.Call) {
	a.Context = ctx
	if !call.Bounded() || call.Last() {
		return
	}
	if a.direct = !a.mayRepeat() && a.c.connected(a.node); !a.direct {
		a.Context, a.cancel = context.WithCancelCause(ctx)
		call.CutBy(a)
	}
}

// bindStream is bind for a stream, which outlives the call: it ends with the
// caller's context, and until its first answer with the call's, whose values
// it has. unlink undoes the latter and reports whether it came in time.
func (a *attempt) bindStream(ctx context.Context, call *resilience.Call) (unlink func() bool) {
	owner := a.stream.ctx
	base := ctx
	if ctx != owner { // a timeout or a wrapper of the settings is in between
		base = lasting{owner, ctx}
	}
	a.Context, a.cancel = context.WithCancelCause(base)
	if call.Bounded() && !call.Last() {
		call.CutBy(a)
	}
	if ctx == owner {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { a.cancel(context.Cause(ctx)) })
}

// lasting is a context with the values of another.
type lasting struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (l lasting) Value(key any) any { return l.values.Value(key) }

// keeps puts a stream that was answered out of the reach of timeouts, and
// reports whether that came in time.
func (a *attempt) keeps(unlink func() bool) bool {
	return (a.phase.CompareAndSwap(sent, answered) || a.phase.CompareAndSwap(unsent, answered)) && unlink()
}

// lost is why keeps failed.
func (a *attempt) lost(ctx context.Context) error {
	for _, c := range [...]context.Context{a.Context, ctx} {
		if cause := context.Cause(c); cause != nil {
			return status.FromContextError(c.Err()).Err()
		}
	}
	return status.Error(codes.DeadlineExceeded, "attempt timed out")
}

// Cut implements resilience.Cutter: an attempt that has no connection yet can
// be cut whatever it would do, any other only if it may be repeated.
func (a *attempt) Cut(cause error) bool {
	s := a.stream
	if s != nil && !s.freeze() {
		return false // what it has sent is not kept
	}
	if a.phase.CompareAndSwap(unsent, cutOff) || (a.mayRepeat() && a.phase.CompareAndSwap(sent, cutLate)) {
		a.cancel(cause)
		return true
	}
	if s != nil {
		s.thaw()
	}
	return false
}

// mayRepeat reports whether the attempt can be cut when it may have been sent.
// How soon a stream is answered is its client's affair as long as the client
// sends.
func (a *attempt) mayRepeat() bool {
	return a.kind.Repeatable() && (a.stream == nil || !a.stream.desc.ClientStreams)
}

// sends reports whether the attempt may be sent now.
func (a *attempt) sends() bool {
	return a.phase.CompareAndSwap(unsent, sent) || a.phase.Load() == sent
}

// asked is told that gRPC wants a connection. Wanting it again for the same
// stream means that the one before was certainly not processed (see doc.go):
// the call itself tries again, elsewhere.
func (a *attempt) asked(ctx context.Context, sub *subchannel) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lookups++
	if life := ctx.Done(); a.life != life {
		// What is known of the one before says nothing about this one.
		phase := a.phase.Load()
		pending := !a.ended && phase != unsent && phase != cutOff
		a.spoiled = a.spoiled || a.info.sent || pending
		a.life, a.ended, a.info = life, false, ending{}
		a.refusal, a.gone, a.replay = nil, false, false
	} else if a.ended && (a.info.sent || a.info.err != nil) {
		a.replay = true
		return errReplay
	} else if a.ended { // the connection was lost before anything was tried on it
		a.ended = false
		a.phase.CompareAndSwap(sent, unsent)
	}
	if sub == nil {
		a.refusal, a.gone = errGone, true
		return errGone
	}
	return nil
}

func (a *attempt) refuse(err error, gone bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusal, a.gone = err, gone
	return err
}

// ender is a function that tells an attempt of its stream's end, made once
// and used again: gRPC calls it once.
type ender struct {
	a  *attempt
	fn func(balancer.DoneInfo)
}

var enders sync.Pool

func (e *ender) end(d balancer.DoneInfo) {
	a := e.a
	e.a = nil
	enders.Put(e)
	a.done(d)
}

func endOf(a *attempt) func(balancer.DoneInfo) {
	e, _ := enders.Get().(*ender)
	if e == nil {
		e = new(ender)
		e.fn = e.end
	}
	e.a = a
	return e.fn
}

// done is told of the end of gRPC's stream.
func (a *attempt) done(d balancer.DoneInfo) {
	a.mu.Lock()
	a.ended = true
	a.info = ending{d.Err, d.BytesSent, d.BytesReceived, d.Trailer}
	a.mu.Unlock()
	a.held.Release()
	if a.phase.Load() == answered { // the stream has ended, whoever ended it
		a.ends()
	}
}

// ends lets go of what the attempt holds.
func (a *attempt) ends() {
	if a.cancel != nil {
		a.cancel(nil)
	}
}

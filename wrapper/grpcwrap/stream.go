package grpcwrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/holdfast-go/holdfast/resilience"
)

// ErrSentTooMuch is matched by the error of a stream that was not tried again
// because it had sent more than Config.StreamBuffer.
var ErrSentTooMuch = errors.New("more was sent than is kept for another attempt: raise StreamBuffer")

// errGoexit ends a stream whose call was ended by runtime.Goexit.
var errGoexit = errors.New("a wrapper has ended the goroutine of the call")

// stream is a streaming call, as its caller has it. A goroutine makes the
// call, attempt after attempt, until one is answered; from then on the caller
// has gRPC's own stream.
type stream struct {
	exchange
	ctx      context.Context // the caller's, with the key
	desc     *grpc.StreamDesc
	method   string
	open     func(context.Context) (grpc.ClientStream, error)
	settled  atomic.Pointer[settlement] // nil: not decided
	log      sentLog
	answered *attempt // under log.mu, as all below
	end      error    // io.EOF: it was answered by its end
	latest   grpc.ClientStream
	opened   bool
}

// settlement is what the call came to.
type settlement struct {
	cs     grpc.ClientStream // nil: it failed
	err    error             // io.EOF: it was answered by its end
	panics any
}

// stream is the interceptor.
func (c *Client) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	open := func(ctx context.Context) (grpc.ClientStream, error) { return streamer(ctx, desc, cc, method, opts...) }
	if !c.nodes.known.Load() {
		if err := c.begin(ctx, cc, func(ctx context.Context) error { _, err := open(ctx); return err }); err != nil {
			return nil, err
		}
	}
	hint := c.hint(ctx, method)
	ctx, err := c.key(ctx, &hint)
	if err != nil {
		return nil, &Error{Method: method, Err: err}
	}
	s := &stream{
		exchange: exchange{c: c, key: hint.Key, expires: resumed(ctx)},
		ctx:      ctx, desc: desc, method: method, open: open,
	}
	s.log.init(c.cfg.StreamBuffer)
	c.work.Go(func() { s.run(hint) })
	if err := s.begun(); err != nil {
		return nil, err
	}
	return s, nil
}

// run makes the call.
func (s *stream) run(hint resilience.Hint) {
	returned := false
	defer func() {
		if !returned { // a wrapper's panic is the caller's, as in a unary call
			s.settle(errGoexit, recover())
		}
	}()
	err := s.c.client.Call(s.ctx, hint, s.attempt)
	returned = true
	s.settle(s.exchange.end(s.method, err), nil)
}

// settle wakes the caller.
func (s *stream) settle(err error, panics any) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	a := s.answered
	switch {
	case panics != nil, err != nil:
		if a != nil {
			a.ends()
		}
		s.settled.Store(&settlement{err: err, panics: panics})
	case a == nil && s.end == nil:
		s.settled.Store(&settlement{err: &Error{Method: s.method, Err: errNoAnswer}})
	default:
		s.settled.Store(&settlement{cs: s.latest, err: s.end})
	}
	s.log.forget()
}

var errNoAnswer = errors.New("a wrapper ended the call without an answer")

// begun waits for a stream that takes messages, as NewStream does, and returns the
// error of a call that has failed before there was one.
func (s *stream) begun() error {
	s.log.mu.Lock()
	for !s.opened && s.settled.Load() == nil {
		s.log.turn.Wait()
	}
	s.log.mu.Unlock()
	if d := s.settled.Load(); d != nil && d.cs == nil {
		d.rethrow()
		return d.err
	}
	return nil
}

func (d *settlement) rethrow() {
	if d.panics != nil {
		panic(d.panics)
	}
}

// wait returns what the call came to.
func (s *stream) wait() *settlement {
	d := s.settled.Load()
	if d == nil {
		s.log.mu.Lock()
		for s.settled.Load() == nil {
			s.log.turn.Wait()
		}
		s.log.mu.Unlock()
		d = s.settled.Load()
	}
	d.rethrow()
	return d
}

// attempt makes one, and returns at its first answer.
func (s *stream) attempt(ctx context.Context, call *resilience.Call) error {
	if !s.alive(call) {
		return resilience.Mark(ErrKeyExpired, expired)
	}
	a := &attempt{c: s.c, node: call.Node, kind: call.Idempotency, stream: s}
	unlink := a.bindStream(ctx, call)
	a.tells = a.told(call)
	s.revisit(call.Node)
	kept := false
	defer func() {
		if !kept {
			unlink()
			a.ends()
		}
	}()
	cs, err := s.open(a)
	if err == nil {
		s.log.mu.Lock()
		s.latest, s.opened = cs, true
		s.log.turn.Broadcast()
		s.log.mu.Unlock()
		err = s.log.replay(cs)
	}
	if err == nil {
		var end error
		end, err = firstAnswer(cs)
		if err == nil && a.keeps(unlink) {
			kept = true
			s.handOver(a, call, end)
			return s.judge(ctx, call, a, nil)
		}
		if err == nil {
			err = a.lost(ctx)
		}
	}
	s.log.stop()
	return s.final(s.judge(ctx, call, a, err))
}

// firstAnswer waits for headers, or the end. Until then nobody but the call
// itself receives. end is io.EOF for a stream that has ended well without a message.
func firstAnswer(cs grpc.ClientStream) (end, err error) {
	md, err := cs.Header()
	if err != nil || md != nil {
		return nil, err
	}
	err = cs.RecvMsg(new(emptypb.Empty)) // there is none: this is the status
	if err == io.EOF {                   //nolint:errorlint // gRPC's contract
		return io.EOF, nil
	}
	return nil, err
}

// handOver gives the stream to the caller. The node is busy with it until it
// ends.
func (s *stream) handOver(a *attempt, call *resilience.Call, end error) {
	call.HoldIn(&a.held)
	a.mu.Lock()
	ended := a.ended
	a.mu.Unlock()
	if ended {
		a.held.Release()
		a.ends()
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.answered, s.end = a, end
}

// final takes another attempt back where what was sent is not kept.
func (s *stream) final(err error) error {
	o := resilience.Classify(s.ctx, err)
	if err == nil || !o.Again || s.freeze() {
		return err
	}
	o.Again = false
	return resilience.Mark(fmt.Errorf("%w; %w", err, ErrSentTooMuch), o)
}

// freeze reports whether all that was sent can be sent again, and keeps it so.
func (s *stream) freeze() bool { return s.log.freeze(true) }

// thaw takes freeze back.
func (s *stream) thaw() { s.log.freeze(false) }

// SendMsg implements grpc.ClientStream.
func (s *stream) SendMsg(m any) error {
	d := s.settled.Load()
	if d == nil {
		cs, kept := s.log.add(m, func() bool { return s.settled.Load() != nil })
		if kept && cs == nil {
			return nil // the next attempt sends it
		}
		if cs != nil {
			err := cs.SendMsg(m)
			if err == io.EOF && kept && s.undecided(cs) { //nolint:errorlint // gRPC's contract
				return nil
			}
			return err
		}
		d = s.settled.Load()
	}
	d.rethrow()
	if d.err != nil {
		return io.EOF // RecvMsg has the error
	}
	return d.cs.SendMsg(m)
}

// undecided reports whether a stream that has ended may be followed by another.
func (s *stream) undecided(cs grpc.ClientStream) bool {
	d := s.settled.Load()
	return d == nil || d.cs != cs
}

// CloseSend implements grpc.ClientStream.
func (s *stream) CloseSend() error {
	if d := s.settled.Load(); d == nil {
		if cs := s.log.close(); cs != nil {
			return cs.CloseSend()
		}
		if d = s.settled.Load(); d == nil {
			return nil // the next attempt does
		}
	}
	if d := s.settled.Load(); d.cs != nil {
		return d.cs.CloseSend()
	}
	return nil
}

// RecvMsg implements grpc.ClientStream.
func (s *stream) RecvMsg(m any) error {
	d := s.wait()
	if d.err != nil {
		return d.err
	}
	return d.cs.RecvMsg(m)
}

// Header implements grpc.ClientStream. RecvMsg has the error of a call that
// failed.
func (s *stream) Header() (metadata.MD, error) {
	d := s.wait()
	if d.err != nil {
		return nil, nil
	}
	return d.cs.Header()
}

// Trailer implements grpc.ClientStream.
func (s *stream) Trailer() metadata.MD {
	s.log.mu.Lock()
	cs := s.latest
	s.log.mu.Unlock()
	if cs == nil {
		return nil
	}
	return cs.Trailer()
}

// Context implements grpc.ClientStream.
func (s *stream) Context() context.Context {
	if d := s.settled.Load(); d != nil && d.cs != nil {
		return d.cs.Context()
	}
	return s.ctx
}

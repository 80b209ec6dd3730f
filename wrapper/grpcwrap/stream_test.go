package grpcwrap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

var (
	listDesc   = &grpc.StreamDesc{StreamName: "List", ServerStreams: true}
	uploadDesc = &grpc.StreamDesc{StreamName: "Upload", ClientStreams: true}
	chatDesc   = &grpc.StreamDesc{StreamName: "Chat", ClientStreams: true, ServerStreams: true}
)

// list makes a streaming call with one request and returns all that came.
func (c *conn) list(ctx context.Context, in string) (got []string, err error) {
	s, err := c.NewStream(ctx, listDesc, list)
	if err != nil {
		return nil, err
	}
	if err := s.SendMsg(wrapperspb.String(in)); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	if err := s.CloseSend(); err != nil {
		return nil, err
	}
	return drain(s)
}

func drain(s grpc.ClientStream) (got []string, err error) {
	for {
		m := new(wrapperspb.StringValue)
		if err := s.RecvMsg(m); err == io.EOF { //nolint:errorlint // gRPC's contract
			return got, nil
		} else if err != nil {
			return got, err
		}
		got = append(got, m.GetValue())
	}
}

// received takes all that a stream's client sends.
func received(s grpc.ServerStream) (got []string, err error) {
	for {
		m := new(wrapperspb.StringValue)
		if err := s.RecvMsg(m); err == io.EOF { //nolint:errorlint // gRPC's contract
			return got, nil
		} else if err != nil {
			return got, err
		}
		got = append(got, m.GetValue())
	}
}

// send is a server's answer.
func send(s grpc.ServerStream, texts ...string) error {
	for _, text := range texts {
		if err := s.SendMsg(wrapperspb.String(text)); err != nil {
			return err
		}
	}
	return nil
}

// A stream that ends badly before its first answer is made again elsewhere.
func TestStreamIsTriedAgain(t *testing.T) {
	ill := serve(t, nil, func(_ string, s grpc.ServerStream) error {
		if _, err := received(s); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "no")
	})
	well := serve(t, nil, func(_ string, s grpc.ServerStream) error {
		in, err := received(s)
		if err != nil {
			return err
		}
		return send(s, append(in, "b", "c")...)
	})
	c := dial(t, grpcwrap.Config{}, ill.addr, well.addr)
	c.connected(t, 2)
	for range 4 { // in turn: the ill one is met
		got, err := c.list(within(t, 5*time.Second), "a")
		if want := []string{"a", "b", "c"}; err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v, %v: want %v", got, err, want)
		}
	}
}

// Once there is an answer the stream belongs to its node.
func TestStreamIsNotTriedAgainAfterAnAnswer(t *testing.T) {
	var mu sync.Mutex
	calls := 0
	answer := func(headers bool) streams {
		return func(_ string, s grpc.ServerStream) error {
			mu.Lock()
			calls++
			mu.Unlock()
			if _, err := received(s); err != nil {
				return err
			}
			if headers {
				if err := s.SendHeader(metadata.Pairs("k", "v")); err != nil {
					return err
				}
			} else if err := send(s, "one"); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "in the middle")
		}
	}
	for _, headers := range []bool{true, false} {
		calls = 0
		a, b := serve(t, nil, answer(headers)), serve(t, nil, answer(headers))
		c := dial(t, grpcwrap.Config{}, a.addr, b.addr)
		c.connected(t, 2)
		_, err := c.list(within(t, 5*time.Second), "a")
		if status.Code(err) != codes.Unavailable || calls != 1 {
			t.Errorf("headers only: %v: %d calls, %v: want one that ends in the middle", headers, calls, err)
		}
	}
}

// What both sides send is replayed in order, and only what may be repeated.
func TestStreamReplaysWhatWasSent(t *testing.T) {
	var met atomic.Int32
	ill := serve(t, nil, func(_ string, s grpc.ServerStream) error {
		met.Add(1)
		for range 2 {
			if err := s.RecvMsg(new(wrapperspb.StringValue)); err != nil {
				return err
			}
		}
		return status.Error(codes.Unavailable, "after two")
	})
	var mu sync.Mutex
	var got []string
	well := serve(t, nil, func(_ string, s grpc.ServerStream) error {
		in, err := received(s)
		if err != nil {
			return err
		}
		mu.Lock()
		got = in
		mu.Unlock()
		return send(s, "ok")
	})
	c := dial(t, grpcwrap.Config{}, ill.addr, well.addr)
	c.connected(t, 2)
	for range 4 {
		s, err := c.NewStream(within(t, 5*time.Second), chatDesc, chat)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 20 {
			text := fmt.Sprint(i)
			want = append(want, text)
			if err := s.SendMsg(wrapperspb.String(text)); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if out, err := drain(s); err != nil || fmt.Sprint(out) != "[ok]" {
			t.Fatalf("%v, %v: want ok", out, err)
		}
		mu.Lock()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("received %v, want %v", got, want)
		}
		got = nil
		mu.Unlock()
	}
	if met.Load() == 0 {
		t.Error("no call has met the ill node")
	}
	// Upload says nothing of itself: what may have been carried out is not sent again.
	failed := 0
	for range 4 {
		s, err := c.NewStream(within(t, 5*time.Second), uploadDesc, upload)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_ = s.SendMsg(wrapperspb.String("x")) // io.EOF when the server has said no
		}
		_ = s.CloseSend()
		if _, err := drain(s); err != nil {
			failed++
			if e := failure(t, err); !e.Ambiguous() || e.Why != retry.NotRepeatable || len(e.Attempts) != 1 {
				t.Errorf("%v: want one ambiguous attempt", err)
			}
		}
	}
	if failed == 0 {
		t.Error("no upload has met the ill node")
	}
}

// More than the buffer is not kept, and so not sent again.
func TestStreamSentTooMuch(t *testing.T) {
	ill := func(_ string, s grpc.ServerStream) error {
		if _, err := received(s); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "no")
	}
	a, b := serve(t, nil, ill), serve(t, nil, ill)
	c := dial(t, grpcwrap.Config{StreamBuffer: 1000}, a.addr, b.addr)
	c.connected(t, 2)
	for _, n := range []int{2, 100} {
		s, err := c.NewStream(within(t, 5*time.Second), chatDesc, chat)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := s.SendMsg(wrapperspb.String(strings.Repeat("x", 100))); err != nil {
				t.Fatal(err)
			}
		}
		_ = s.CloseSend()
		_, err = drain(s)
		e := failure(t, err)
		tooMuch := n > 2
		if errors.Is(err, grpcwrap.ErrSentTooMuch) != tooMuch || (len(e.Attempts) == 1) != tooMuch || status.Code(err) != codes.Unavailable {
			t.Errorf("%d messages: %d attempts, %v: too much: %v", n, len(e.Attempts), err, tooMuch)
		}
	}
}

// A stream that nobody answers is cut and made elsewhere.
func TestStreamIsCut(t *testing.T) {
	hung := serve(t, nil, func(_ string, s grpc.ServerStream) error {
		<-s.Context().Done()
		return s.Context().Err()
	})
	well := serve(t, nil, func(_ string, s grpc.ServerStream) error { return send(s, "ok") })
	c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{AttemptTimeout: 50 * time.Millisecond}}}, hung.addr, well.addr)
	c.connected(t, 2)
	for range 2 {
		got, err := c.list(within(t, 5*time.Second), "a")
		if err != nil || fmt.Sprint(got) != "[ok]" {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

// The settings' timeouts end with the first answer; the stream lasts.
func TestStreamOutlivesTimeouts(t *testing.T) {
	goOn := make(chan struct{})
	n := serve(t, nil, func(_ string, s grpc.ServerStream) error {
		if err := send(s, "first"); err != nil {
			return err
		}
		<-goOn
		return send(s, "second")
	})
	c := dial(t, grpcwrap.Config{Config: resilience.Config{Settings: resilience.Settings{
		Timeout: 150 * time.Millisecond, AttemptTimeout: 50 * time.Millisecond,
	}}}, n.addr)
	c.connected(t, 1)
	ctx := within(t, 10*time.Second)
	s, err := c.NewStream(ctx, listDesc, list)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SendMsg(wrapperspb.String("a")); err != nil {
		t.Fatal(err)
	}
	first := new(wrapperspb.StringValue)
	if err := s.RecvMsg(first); err != nil {
		t.Fatal(err)
	}
	busy := func() int { return int(c.client.Resilience().Selector().Nodes()[0].InFlight) }
	if busy() != 1 {
		t.Errorf("%d in flight while the stream lasts, want 1", busy())
	}
	<-within(t, 300*time.Millisecond).Done()
	close(goOn)
	if rest, err := drain(s); err != nil || fmt.Sprint(rest) != "[second]" {
		t.Errorf("%v, %v: want the second", rest, err)
	}
	if busy() != 0 {
		t.Errorf("%d in flight when it has ended, want 0", busy())
	}
}

// A caller who leaves ends the stream, before and after the answer.
func TestStreamIsAbandoned(t *testing.T) {
	for _, answers := range []bool{false, true} {
		ended := make(chan struct{})
		n := serve(t, nil, func(_ string, s grpc.ServerStream) error {
			defer close(ended)
			if answers {
				if err := send(s, "first"); err != nil {
					return err
				}
			}
			<-s.Context().Done()
			return s.Context().Err()
		})
		c := dial(t, grpcwrap.Config{}, n.addr)
		ctx, cancel := context.WithCancel(within(t, 5*time.Second))
		s, err := c.NewStream(ctx, listDesc, list)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendMsg(wrapperspb.String("a")); err != nil {
			t.Fatal(err)
		}
		if answers {
			if err := s.RecvMsg(new(wrapperspb.StringValue)); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if _, err := drain(s); status.Code(err) != codes.Canceled || !errors.Is(err, context.Canceled) && !answers {
			t.Errorf("answers %v: %v: want cancelled", answers, err)
		}
		<-ended
		eventually(t, "nothing in flight", func() bool { return c.client.Resilience().Selector().Nodes()[0].InFlight == 0 })
	}
}

// A stream's end without a message, well or not, is its answer.
func TestStreamEndsAtOnce(t *testing.T) {
	for _, want := range []error{nil, status.Error(codes.NotFound, "nothing")} {
		n := serve(t, nil, func(_ string, s grpc.ServerStream) error {
			s.SetTrailer(metadata.Pairs("k", "v"))
			return want
		})
		c := dial(t, grpcwrap.Config{}, n.addr)
		s, err := c.NewStream(within(t, 5*time.Second), listDesc, list)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.SendMsg(wrapperspb.String("a"))
		got, err := drain(s)
		if len(got) != 0 || status.Code(err) != status.Code(want) {
			t.Errorf("%v, %v: want %v", got, err, want)
		}
		var e *resilience.Error
		if errors.As(err, &e) {
			t.Errorf("%v: want the service's own error", err)
		}
		if v := s.Trailer()["k"]; len(v) != 1 {
			t.Errorf("trailer %v", s.Trailer())
		}
	}
}

// A panic of a wrapper is the caller's.
func TestStreamPanics(t *testing.T) {
	n := serve(t, nil, func(_ string, s grpc.ServerStream) error { return send(s, "ok") })
	wrap := func(resilience.Func) resilience.Func {
		return func(context.Context, *resilience.Call) error { panic("a wrapper's") }
	}
	c := dial(t, grpcwrap.Config{Config: resilience.Config{WrapAttempt: []resilience.Wrapper{wrap}}}, n.addr)
	defer func() {
		if p := recover(); p != "a wrapper's" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, err := c.list(within(t, 5*time.Second), "a")
	t.Errorf("no panic: %v", err)
}

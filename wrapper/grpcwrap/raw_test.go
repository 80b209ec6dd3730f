package grpcwrap_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/grpcwrap"
)

// raw is an HTTP/2 server that does to streams what gRPC's would only do in
// the worst of moments. RFC 9113.
type raw struct {
	addr    string
	streams atomic.Int32 // that were opened
}

// rawServer calls answer when a stream's first data have come.
func rawServer(t testing.TB, answer func(fr *http2.Framer, conn net.Conn, stream uint32)) *raw {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &raw{addr: l.Addr().String()}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				s.serve(c, answer)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return s
}

func (s *raw) serve(c net.Conn, answer func(*http2.Framer, net.Conn, uint32)) {
	if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	fr := http2.NewFramer(c, c)
	if err := fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24}); err != nil {
		return
	}
	if err := fr.WriteWindowUpdate(0, 1<<24); err != nil {
		return
	}
	answered := make(map[uint32]bool)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = fr.WritePing(true, f.Data)
			}
		case *http2.DataFrame:
			if !answered[f.StreamID] {
				answered[f.StreamID] = true
				s.streams.Add(1)
				answer(fr, c, f.StreamID)
			}
		}
	}
}

// What HTTP/2 tells of a stream that was not answered. gRPC's own retry of
// those that were not processed must not be seen: each attempt is one stream.
func TestHTTP2(t *testing.T) {
	reset := func(code http2.ErrCode) func(*http2.Framer, net.Conn, uint32) {
		return func(fr *http2.Framer, _ net.Conn, stream uint32) { _ = fr.WriteRSTStream(stream, code) }
	}
	rows := []struct {
		name   string
		answer func(fr *http2.Framer, conn net.Conn, stream uint32)
		size   int
		want   resilience.Outcome
		node   breaker.Result
	}{
		{name: "refused", answer: reset(http2.ErrCodeRefusedStream), want: resilience.NotSent, node: breaker.Failure},
		// What is larger than gRPC's replay buffer it does not try again by itself.
		{name: "refused, large", answer: reset(http2.ErrCodeRefusedStream), size: 1 << 20, want: resilience.NotSent, node: breaker.Failure},
		{
			name: "above the last of a goaway",
			answer: func(fr *http2.Framer, _ net.Conn, stream uint32) {
				_ = fr.WriteGoAway(stream-1, http2.ErrCodeNo, nil)
			},
			want: resilience.NotSent, node: breaker.Ignored,
		},
		{
			name:   "goaway of none",
			answer: func(fr *http2.Framer, _ net.Conn, _ uint32) { _ = fr.WriteGoAway(0, http2.ErrCodeNo, nil) },
			want:   resilience.NotSent, node: breaker.Ignored,
		},
		{
			name: "within a goaway, then lost",
			answer: func(fr *http2.Framer, conn net.Conn, stream uint32) {
				_ = fr.WriteGoAway(stream, http2.ErrCodeNo, nil)
				conn.Close()
			},
			want: resilience.Ambiguous, node: breaker.Failure,
		},
		{name: "lost", answer: func(_ *http2.Framer, conn net.Conn, _ uint32) { conn.Close() }, want: resilience.Ambiguous, node: breaker.Failure},
		{name: "reset", answer: reset(http2.ErrCodeInternal), want: resilience.Ambiguous, node: breaker.Failure},
		{name: "cancelled", answer: reset(http2.ErrCodeCancel), want: resilience.Ambiguous, node: breaker.Failure},
		// gRPC makes RESOURCE_EXHAUSTED of it, which from a server would be a refusal.
		{name: "calm", answer: reset(http2.ErrCodeEnhanceYourCalm), want: resilience.Ambiguous, node: breaker.Failure},
		// gRPC makes PERMISSION_DENIED of it, which from a server would be an answer.
		{name: "inadequate security", answer: reset(http2.ErrCodeInadequateSecurity), want: resilience.Ambiguous, node: breaker.Failure},
	}
	for _, row := range rows {
		for _, streaming := range []bool{false, true} {
			name := row.name
			if streaming {
				name += ", streaming"
			}
			t.Run(name, func(t *testing.T) {
				ill := rawServer(t, row.answer)
				var done atomic.Int32
				well := serve(t, func(context.Context, string, string) (string, error) {
					done.Add(1)
					return "ok", nil
				}, nil)
				var seen recorder
				c := dial(t, grpcwrap.Config{StreamBuffer: 4 << 20, Config: resilience.Config{
					Observer: &seen, Settings: resilience.Settings{Attempts: 1},
				}}, ill.addr)
				in := strings.Repeat("x", row.size)
				call := func(method string) error {
					if streaming {
						_, err := c.list(grpcwrap.WithHint(within(t, 5*time.Second), resilience.Unsafe(list)), in)
						return err
					}
					_, err := c.call(within(t, 5*time.Second), method, in)
					return err
				}
				err := call(post)
				got, want := seen.first(t), row.want
				if want.Node = row.node; got != want {
					t.Errorf("%v: outcome %+v, want %+v", err, got, want)
				}
				if n := ill.streams.Load(); n != 1 {
					t.Errorf("%d streams of one attempt", n)
				}
				if e := failure(t, err); e.Ambiguous() != (row.want.Effect == retry.Possible) {
					t.Errorf("%v", err)
				}
				if streaming {
					return
				}
				// With another node, what was certainly not done is done there.
				settings := c.client.Resilience().Settings()
				settings.Attempts = 3
				if err := c.client.Resilience().Update(settings); err != nil {
					t.Fatal(err)
				}
				c.res.UpdateState(state(ill.addr, well.addr))
				for range 4 {
					c.connected(t, 2)
					before := done.Load()
					err := call(post)
					if row.want.Effect == retry.None && (err != nil || done.Load() != before+1) {
						t.Errorf("%v, done %d times: want it done once, elsewhere", err, done.Load()-before)
					}
					if row.want.Effect == retry.Possible && err != nil && !resilience.IsAmbiguous(err) {
						t.Errorf("%v: want it ambiguous", err)
					}
				}
			})
		}
	}
}

// A server's error may carry any text: it is no evidence.
func TestPropagatedText(t *testing.T) {
	for _, text := range []string{
		"the connection is draining", "stream terminated by RST_STREAM with error code: REFUSED_STREAM",
		"trying to send message larger than max (1 vs. 0)", "grpc: error while marshaling: x",
	} {
		n := serve(t, func(context.Context, string, string) (string, error) {
			return "", status.Error(codes.Unavailable, text)
		}, nil)
		c := dial(t, grpcwrap.Config{}, n.addr)
		_, err := c.call(within(t, 5*time.Second), post, "in")
		if e := failure(t, err); !e.Ambiguous() || len(e.Attempts) != 1 {
			t.Errorf("%v: want one ambiguous attempt", err)
		}
	}
}

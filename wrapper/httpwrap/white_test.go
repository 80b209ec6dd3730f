package httpwrap

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// TestConnectionAfterTheCut: an attempt that was cut before it had a
// connection gets one nevertheless. Nothing may be sent on it: HTTP/1 would,
// so it is closed; HTTP/2 shares it, and looks at the context.
func TestConnectionAfterTheCut(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"http1": false, "h2c": true} {
		ours, theirs := net.Pipe()
		a := &attempt{pool: &pool{h2c: h2}, x: &exchange{}}
		a.Context, a.cancel = context.WithCancelCause(t.Context())
		if !a.Cut(resilience.ErrAttemptTimeout) {
			t.Fatalf("%s: not cut before there was a connection", name)
		}
		tr := &tracer{a: a}
		tr.gotConn(httptrace.GotConnInfo{Conn: ours})
		go func() { _, _ = theirs.Read(make([]byte, 1)) }()
		if _, err := ours.Write([]byte("x")); errors.Is(err, io.ErrClosedPipe) == h2 {
			t.Errorf("%s: writing ends with %v", name, err)
		}
		if tr.conns != 0 || a.phase.Load() != cutOff || context.Cause(a) != resilience.ErrAttemptTimeout { //nolint:errorlint // it is the cause itself
			t.Errorf("%s: %d connections, phase %d, cause %v", name, tr.conns, a.phase.Load(), context.Cause(a))
		}
		ours.Close()
		theirs.Close()
	}
}

// TestCutOnlyWhatMayBeCut, and not what has its headers.
func TestCutOnlyWhatMayBeCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		phase  uint32
		method retry.Idempotency
		cut    bool
		left   uint32
	}{
		{unsent, retry.Unspecified, true, cutOff},
		{unsent, retry.Safe, true, cutOff},
		{sent, retry.Unspecified, false, sent},
		{sent, retry.NonIdempotent, false, sent},
		{sent, retry.Safe, true, cutLate},
		{sent, retry.Keyed, true, cutLate},
		{answered, retry.Safe, false, answered},
	} {
		a := &attempt{x: &exchange{}, method: tt.method}
		a.Context, a.cancel = context.WithCancelCause(t.Context())
		a.phase.Store(tt.phase)
		if got := a.Cut(errReplay); got != tt.cut || a.phase.Load() != tt.left || (a.Context.Err() != nil) != tt.cut {
			t.Errorf("%+v: cut %v, phase %d, %v", tt, got, a.phase.Load(), a.Context.Err())
		}
		if tt.phase != answered && a.keeps() == tt.cut {
			t.Errorf("%+v: keeps its response: %v", tt, !tt.cut)
		}
	}
}

// TestDeadlineMeetsHeaders: when the call's timeout has already ended the
// attempt, its headers are of no use.
func TestDeadlineMeetsHeaders(t *testing.T) {
	t.Parallel()
	a := &attempt{x: &exchange{}}
	a.phase.Store(sent)
	a.links[0] = func() bool { return false } // as of context.AfterFunc, when the func has been started
	if a.keeps() {
		t.Error("the response is kept, and its context has ended")
	}
}

// TestForget: when the call is over nothing more of an upload is kept.
func TestForget(t *testing.T) {
	t.Parallel()
	r := newReplay(io.NopCloser(strings.NewReader("abcdefgh")), -1, 100)
	v := mustView(t, r)
	_, _ = io.ReadFull(v, make([]byte, 2))
	r.forget()
	if b, err := io.ReadAll(v); string(b) != "cdefgh" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if len(r.kept) != 0 {
		t.Errorf("%q is kept", r.kept)
	}
}

// TestPoolsAreBounded by the set, however often it is reported and however it
// changes.
func TestPoolsAreBounded(t *testing.T) {
	t.Parallel()
	nodes := &changing{}
	tr, err := New(Config{Services: map[string]resilience.Config{"users": {Nodes: nodes}}})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close() //nolint:errcheck // there is nothing to go wrong
	s := tr.services["users"]
	for k := range 100 { // every other time the set is the same
		nodes.report([]selector.Node{{Addr: "stays:1"}, {Addr: strings.Repeat("x", k/2+1) + ":1"}}, nil)
		for _, status := range s.client.Selector().Nodes() {
			p := s.nodes.of(status.Node)
			if p != s.nodes.of(status.Node) {
				t.Fatal("two pools for a node")
			}
			p.http1.Store(true) // no sweeps
		}
	}
	if len(s.nodes.byAddr) != 2 {
		t.Errorf("%d pools for two nodes", len(s.nodes.byAddr))
	}
	for range 100 {
		nodes.report([]selector.Node{{Addr: "stays:1"}, {Addr: "too:1"}}, nil)
		for _, status := range s.client.Selector().Nodes() {
			s.nodes.of(status.Node)
		}
	}
	cached := 0
	s.nodes.cache.Range(func(any, any) bool { cached++; return true })
	if cached > 2*2+spare {
		t.Errorf("%d pointers cached for two nodes", cached)
	}
}

// TestTimeoutOfMany: one of several errors is enough.
func TestTimeoutOfMany(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for err, want := range map[error]bool{
		refused: false,
		errors.Join(refused, context.DeadlineExceeded):                         true,
		&resilience.TimeoutError{Err: errors.New("x")}:                         true,
		&resilience.Error{Err: errors.Join(refused, context.DeadlineExceeded)}: true,
		context.Canceled: false,
	} {
		if got := (&Error{Err: err}).Timeout(); got != want {
			t.Errorf("%v: timeout %v, want %v", err, got, want)
		}
	}
}

type changing struct{ report func([]selector.Node, error) }

func (c *changing) Watch(report func([]selector.Node, error)) error {
	c.report = report
	report([]selector.Node{{Addr: "first:1"}}, nil)
	return nil
}

func (*changing) Close() error { return nil }

// TestTraceKey: httptrace finds the hooks in the attempt. If it ever looks
// elsewhere, nothing would be known of connections.
func TestTraceKey(t *testing.T) {
	t.Parallel()
	a := &attempt{Context: t.Context(), pool: new(pool)}
	if traceKey == nil || httptrace.ContextClientTrace(a) != nil {
		t.Fatal("httptrace looks for something else")
	}
	a.startTrace()
	if tr := a.trace.Load(); httptrace.ContextClientTrace(a) != &tr.ClientTrace {
		t.Error("httptrace does not find the hooks")
	}
}

// TestStreamErrorShape: net/http converts its own to ours.
func TestStreamErrorShape(t *testing.T) {
	t.Parallel()
	var e streamError
	if e.Error() == "" {
		t.Error("no text")
	}
	for text, known := range map[string]bool{
		"http2: client conn not usable": true,
		"http2: Transport: cannot retry err [http2: Transport received Server's graceful shutdown GOAWAY] after Request.Body was written; define Request.GetBody to avoid this error": true,
		"http2: Transport: cannot retry err [stream error: stream ID 1; REFUSED_STREAM; received from peer] after Request.Body was written":                                           true,
		"http2: Transport: cannot retry err [stream error: stream ID 1; PROTOCOL_ERROR; received from peer] after Request.Body was written":                                           false,
		`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug="; REFUSED_STREAM;"`:                                                            false,
		"anything else": false,
	} {
		if o, ok := http2(errors.New(text)); ok != known || (ok && o.Effect != retry.None) {
			t.Errorf("%q: %v, %v", text, ok, o)
		}
	}
}

// TestCutBeforeTheRequestIsKnown: the cut of an attempt that has no context of
// its own comes before net/http has heard of the request, so that there is
// nothing to end yet. It ends when there is.
func TestCutBeforeTheRequestIsKnown(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{true, false} {
		dialled, over := make(chan struct{}), make(chan struct{})
		defer close(over)
		rt := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			close(dialled)
			<-over // nobody answers; net/http lets a dial go on for requests to come
			return nil, net.ErrClosed
		}}
		a := &attempt{pool: &pool{main: rt, owned: rt, plain: true}, x: &exchange{}, method: retry.NonIdempotent}
		a.x.req, _ = http.NewRequestWithContext(t.Context(), http.MethodPost, "http://hello/", nil)
		a.Context, a.via = t.Context(), rt
		if early && !a.Cut(resilience.ErrAttemptTimeout) {
			t.Fatal("not cut before there was a connection")
		}
		req := a.x.req.WithContext(a)
		a.begun.Store(req)
		a.startTrace()
		if !early {
			go func() {
				<-dialled
				a.Cut(resilience.ErrAttemptTimeout)
			}()
		}
		if _, err := rt.RoundTrip(req); err == nil { //nolint:bodyclose // there is no response
			t.Errorf("early %v: a response", early)
		}
		a.stopTrace()
		if err := a.failed(t.Context(), errors.New("ended")); !errors.Is(err, resilience.ErrAttemptTimeout) ||
			resilience.Classify(t.Context(), err).Effect != retry.None {
			t.Errorf("early %v: %v, want a timeout of what was not sent", early, err)
		}
	}
}

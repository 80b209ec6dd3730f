package httpwrap

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// Rows of the outcome table, with a field changed where HTTP tells more.
var (
	// local never left, for a reason that the next attempt would meet too.
	local = resilience.Outcome{Name: resilience.NotSent.Name, Effect: retry.None, Node: breaker.Ignored}
	// drained was not sent since the server is about to leave, in good order.
	drained = with(resilience.NotSent, breaker.Ignored)
	// unread was ended by the caller's own body reader.
	unread = resilience.Outcome{Name: resilience.Ambiguous.Name, Effect: retry.Possible, Node: breaker.Ignored}
)

func with(o resilience.Outcome, node breaker.Result) resilience.Outcome {
	o.Node = node
	return o
}

// failed judges an attempt that ended without a response, and returns its
// error with the evidence.
func (a *attempt) failed(ctx context.Context, err error) error {
	x := a.x
	if cause := context.Cause(a); cause != nil && a.Err() != nil && !errors.Is(err, cause) {
		err = because(err, cause)
	} else if why := a.why.Load(); why != nil {
		err = *why // net/http's error says only that it was ended
	}
	o := a.evidence(err)
	if ctx.Err() != nil {
		effect := o.Effect
		o = resilience.Abandoned // package resilience knows whether the node is to blame
		o.Effect = effect
	}
	if o.Again && x.replay != nil && !x.replay.freeze() {
		o.Again = false
		err = fmt.Errorf("%w; %w", err, ErrBodyTooLarge)
	}
	return resilience.Mark(err, o)
}

// because names why the attempt was cut. That the context was cancelled is
// only how net/http was told.
func because(err, cause error) error {
	if errors.Is(err, context.Canceled) {
		return cause
	}
	return fmt.Errorf("%w: %w", cause, err)
}

func (a *attempt) evidence(err error) resilience.Outcome {
	switch phase := a.phase.Load(); {
	case phase == unsent && faulty(err):
		return local
	case phase == unsent || phase == cutOff:
		return resilience.NotSent
	case a.x.replay != nil && a.x.replay.failed() != nil:
		return unread
	}
	if a.replays > 0 && a.rewinds {
		return resilience.Ambiguous // this error is the last one's only
	}
	if o, ok := http2(err); ok {
		return o
	}
	if a.pool.owned == nil {
		return resilience.Classify(context.Background(), err) // ctx is asked elsewhere
	}
	return resilience.Ambiguous
}

// faulty reports whether net/http found fault with the request itself and did
// not even look for a connection. There is nothing but the text to tell it by.
func faulty(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "net/http: invalid ") ||
		strings.HasPrefix(text, "unsupported protocol scheme") ||
		strings.HasPrefix(text, "http: no Host in request URL")
}

// streamError has the shape of net/http's bundled HTTP/2 StreamError, which
// converts itself to any struct of that shape (net/http/h2_error.go); and of
// the one in golang.org/x/net/http2.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "stream error" }

const refusedStream = 0x7 // RFC 9113 §7

// http2 knows the errors by which HTTP/2 says that a request was not processed
// (RFC 9113 §8.7). Some of net/http's have neither type nor value that could
// be matched, only a text; if it changes, they are ambiguous again.
func http2(err error) (o resilience.Outcome, known bool) {
	var stream streamError
	if errors.As(err, &stream) {
		return resilience.NotSent, stream.Code == refusedStream
	}
	text := err.Error()
	if inner, ok := strings.CutPrefix(text, "http2: Transport: cannot retry err ["); ok {
		text = inner
		if strings.HasPrefix(text, "stream error: ") {
			return resilience.NotSent, strings.Contains(text, "; REFUSED_STREAM;")
		}
	}
	switch {
	case strings.HasPrefix(text, "http2: Transport received Server's graceful shutdown GOAWAY"): // above its last stream
		return drained, true
	case strings.HasPrefix(text, "http2: Transport received GOAWAY from server ErrCode:"): // likewise, not in good order
		return resilience.NotSent, true
	case strings.HasPrefix(text, "http2: client conn not usable"),
		strings.HasPrefix(text, "http2: client conn could not be established"):
		return resilience.NotSent, true
	}
	return goAway(err)
}

// goAway knows the GoAwayError of a connection that was closed after a GOAWAY.
// It has no As method, and a name of its own in net/http. Streams above the
// last one have ended by then: what it concerns was received, unless no stream
// was.
func goAway(err error) (o resilience.Outcome, known bool) {
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Struct || !strings.HasSuffix(v.Type().Name(), "GoAwayError") {
		return o, false
	}
	last := v.FieldByName("LastStreamID")
	return drained, last.IsValid() && last.CanUint() && last.Uint() == 0
}

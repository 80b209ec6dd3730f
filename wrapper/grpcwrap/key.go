package grpcwrap

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/internal/keys"
)

// Metadata by which calls and servers speak of keys. A server that carries out
// each key once says in the trailer what it knows: see [Guard].
const (
	keyName     = "idempotency-key"
	wordName    = "idempotency-status"
	expiresName = "idempotency-expires"
)

// ErrBadKey is matched by the error of a call whose key cannot be sent.
var ErrBadKey = errors.New("idempotency key: want printable ASCII, 1 to 255 characters, without spaces around")

// ErrKeyExpired is matched by the error of a call that was not tried again,
// or not resumed, because the server forgets its key: the same call would be a
// new one.
var ErrKeyExpired = errors.New("the server forgets the idempotency key: the call would be carried out anew")

// WithHint says what the caller knows of the calls that are made with the
// returned context; it goes before what metadata, settings and protobuf say.
//
// An empty Method, and Idempotency and Default where they are Unspecified,
// leave it to the call. A Key is sent as idempotency-key, in place of the
// metadata's own.
func WithHint(ctx context.Context, hint resilience.Hint) context.Context {
	return context.WithValue(ctx, hintKey{}, hint)
}

// Resume returns a context for making a call again whose outcome is in doubt,
// now or after a restart: e is what the call ended with, of which Method, Key and
// KeyExpires are enough. A call that is made with that context, of the same
// method and with the same message, is sent with the same key, so the server
// answers what came of the first, or carries it out now. It fails with
// ErrKeyExpired when it is too late for that, and with resilience.ErrNoKey when
// e has no key.
func Resume(ctx context.Context, e *Error) context.Context {
	hint := resilience.Hint{Method: e.Method, Idempotency: retry.Keyed, Key: e.Key}
	return context.WithValue(WithHint(ctx, hint), resumeKey{}, e.KeyExpires)
}

type (
	hintKey   struct{}
	resumeKey struct{}
)

// resumed is when the key expires of the call that this one goes on with.
func resumed(ctx context.Context) time.Time {
	t, _ := ctx.Value(resumeKey{}).(time.Time)
	return t
}

// hint puts together what is known of a call, but for its key.
func (c *Client) hint(ctx context.Context, method string) resilience.Hint {
	h, _ := ctx.Value(hintKey{}).(resilience.Hint)
	if h.Method == "" {
		h.Method = method
	}
	h.Default = h.Default.Or(byProtocol(method))
	return h
}

// key settles the idempotency key: the hint's, or the metadata's, or, for a
// unary call, a new one where Config.AssumeServerDeduplicates says so. It
// completes the hint and returns the context that carries it. With a key in
// its metadata a call is Keyed: whoever sends one asserts that the server
// deduplicates by it.
func (c *Client) key(ctx context.Context, hint *resilience.Hint) (context.Context, error) {
	md, ok := metadata.FromOutgoingContext(ctx) // a copy
	if ok && withoutCopies(md) {
		ctx = metadata.NewOutgoingContext(ctx, md)
	}
	if hint.Key != "" {
		if !sendable(hint.Key) {
			return ctx, ErrBadKey
		}
		hint.Idempotency = hint.Idempotency.Or(retry.Keyed)
		return withKey(ctx, hint.Key), nil
	}
	if hint.Default == retry.Safe && hint.Idempotency != retry.Keyed {
		return ctx, nil
	}
	if values := md[keyName]; len(values) > 0 {
		hint.Key = values[0]
		hint.Idempotency = hint.Idempotency.Or(retry.Keyed)
		return ctx, nil
	}
	if c.cfg.AssumeServerDeduplicates && hint.Default == retry.Unspecified && hint.Idempotency == retry.Unspecified {
		hint.Key = keys.New()
		hint.Default = retry.Keyed // the method's setting goes before it
		return withKey(ctx, hint.Key), nil
	}
	return ctx, nil
}

// withKey puts the key in place of any that is there.
func withKey(ctx context.Context, key string) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = make(metadata.MD, 1)
	}
	md[keyName] = []string{key}
	return metadata.NewOutgoingContext(ctx, md)
}

// sendable reports whether gRPC metadata bring the key over as it is.
func sendable(key string) bool {
	return key != "" && len(key) <= 255 && strings.TrimSpace(key) == key &&
		!strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
}

// Outcomes of attempts whose answer has a word.
var (
	notExecuted = with(resilience.Refused, breaker.Ignored)
	// replayedFailure is what the server will answer from now on.
	replayedFailure = resilience.Outcome{Name: resilience.Ambiguous.Name, Effect: retry.Possible, Node: breaker.Success}
	// unknown is no fault of the node that tells it, and may be settled yet.
	unknown = with(resilience.Ambiguous, breaker.Success)
	expired = resilience.Outcome{Name: resilience.Rejected.Name, Effect: retry.None, Node: breaker.Ignored}
)

// keyed judges the answer to an attempt with a key, which evidence has judged
// without, by what the server says in its trailer.
func (x *exchange) keyed(call *resilience.Call, trailer metadata.MD, o resilience.Outcome) resilience.Outcome {
	word := first(trailer, wordName)
	guarded := x.remember(first(trailer, expiresName), word, call.Start())
	switch {
	case word == idempotency.InProgress:
		return resilience.InProgress
	case word == idempotency.Unknown:
		return unknown
	case word == idempotency.NotExecuted && o.Effect == retry.Possible:
		refused := notExecuted
		refused.After, refused.Again = o.After, o.Again
		return refused
	case word == idempotency.Replayed && o.Effect == retry.Possible:
		return replayedFailure
	case guarded && o.Effect == retry.Answered:
		o.Settles = true
	}
	return o
}

func first(md metadata.MD, name string) string {
	if values := md[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// remember keeps until when the server knows the key, as it has published in
// an answer to an attempt that began at start. It reports whether it has.
func (x *exchange) remember(seconds, word string, start time.Time) bool {
	expires, ok := x.c.lifetime.Learn(seconds, word == "", start)
	if ok {
		x.expires = expires
	}
	return ok
}

// alive reports whether the server still knows the key when the attempt
// begins. As long as it has not said, that is reckoned from the first attempt,
// by what it said of other keys.
func (x *exchange) alive(call *resilience.Call) bool {
	if x.key == "" {
		return true
	}
	if x.tries == 0 && x.expires.IsZero() {
		x.expires = x.c.lifetime.Expires(call.Start())
		return true
	}
	return x.expires.IsZero() || call.Start().Before(x.expires)
}

package httpwrap

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// What a server that carries out each key once says about it: see package
// wrapper/idempotency, whose words these are.
const (
	wordName    = "Idempotency-Status"
	expiresName = "Idempotency-Expires"

	wordReplayed    = "replayed"
	wordInProgress  = "in-progress"
	wordUnknown     = "unknown"
	wordNotExecuted = "not-executed"
)

// ErrKeyExpired is matched by the error of a call that was not tried again,
// or not resumed, because the server forgets its key: the same request would
// be a new one.
var ErrKeyExpired = errors.New("the server forgets the idempotency key: the request would be carried out anew")

// Resume returns a context for making a call again whose outcome is in doubt,
// now or after a restart: f is what [Result] or [Error] said of it, of which
// Key and KeyExpires are enough. A request that is made with that context (the same
// method, URL and body) is sent with the same key, so the server answers what
// came of the first, or carries it out now. It fails with ErrKeyExpired when it
// is too late for that, and with resilience.ErrNoKey when f has no key.
func Resume(ctx context.Context, f Facts) context.Context {
	hint := resilience.Hint{Method: f.Method, Idempotency: retry.Keyed, Key: f.Key}
	return context.WithValue(WithHint(ctx, hint), resumeKey{}, &f)
}

type resumeKey struct{}

// resumed is the call that this one goes on with; nil: none.
func resumed(ctx context.Context) *Facts {
	f, _ := ctx.Value(resumeKey{}).(*Facts)
	return f
}

// has reports whether the request carries the key by itself.
func has(h http.Header, key string) bool {
	for _, name := range keyNames {
		if values := h[name.given]; len(values) == 1 && values[0] == key {
			return true
		}
	}
	return false
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

// keyed judges the answer to an attempt with a key, which judge has judged
// without.
func (a *attempt) keyed(call *resilience.Call, err error) error {
	x, h, code := a.x, a.resp.Header, a.resp.StatusCode
	word := first(h, wordName)
	guarded := x.remember(first(h, expiresName), word, call.Start())
	if x.open = false; err == nil {
		return nil
	}
	switch o := resilience.Classify(context.Background(), err); {
	case word == wordInProgress && code == http.StatusConflict:
		x.open = true
		x.tried = x.tried[:len(x.tried)-1] // not to be avoided, nor its connection
		return resilience.Mark(&StatusError{code}, resilience.InProgress)
	case word == wordUnknown && code >= 500:
		x.open = true
		return resilience.Mark(&StatusError{code}, unknown)
	case word == wordNotExecuted && o.Effect == retry.Possible:
		refused := notExecuted
		refused.After, refused.Again = o.After, o.Again
		return resilience.Mark(err, refused)
	case word == wordReplayed && o.Effect == retry.Possible:
		return resilience.Mark(err, replayedFailure)
	case guarded && o.Effect == retry.Answered:
		o.Settles = true
		return resilience.Mark(err, o)
	}
	return err
}

func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// remember keeps until when the server knows the key, as it has published in
// an answer to an attempt that began at start. It reports whether it has.
func (x *exchange) remember(seconds, word string, start time.Time) bool {
	expires, ok := x.s.lifetime.Learn(seconds, word == "", start)
	if ok {
		x.expires = expires
	}
	return ok
}

// alive reports whether the server still knows the key when the attempt
// begins. As long as it has not said, that is reckoned from the first attempt, by what it said
// of other keys.
func (x *exchange) alive(call *resilience.Call) bool {
	if x.attempts == 0 && x.expires.IsZero() {
		x.expires = x.s.lifetime.Expires(call.Start())
		return true
	}
	return x.expires.IsZero() || call.Start().Before(x.expires)
}

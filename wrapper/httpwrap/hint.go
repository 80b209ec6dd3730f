package httpwrap

import (
	"context"
	"net/http"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// WithHint says what the caller knows of the requests that are made with the
// returned context; it goes before what the request and the settings say. Use
// it for one request, or for requests of one kind: redirects keep the context.
//
// An empty Method, and Idempotency and Default where they are Unspecified,
// leave it to the request. A Key is sent as Idempotency-Key, in place of the
// request's own, quoted as the IETF draft wants it unless it is quoted already.
func WithHint(ctx context.Context, hint resilience.Hint) context.Context {
	return context.WithValue(ctx, hintKey{}, hint)
}

// HintOf returns the hint of a context, the zero Hint if it has none.
func HintOf(ctx context.Context) resilience.Hint {
	h, _ := ctx.Value(hintKey{}).(resilience.Hint)
	return h
}

type hintKey struct{}

// hint puts together what is known of a request, but for its key.
func (s *service) hint(req *http.Request) resilience.Hint {
	h := HintOf(req.Context())
	if h.Method == "" {
		h.Method = s.method(req)
	}
	h.Default = h.Default.Or(byProtocol(req.Method))
	return h
}

func (s *service) method(req *http.Request) string {
	switch {
	case s.t.cfg.Method != nil:
		return s.t.cfg.Method(req)
	case req.Pattern != "":
		return req.Pattern
	case req.Method == "":
		return http.MethodGet
	}
	return req.Method
}

// byProtocol is what HTTP itself says of a method: RFC 9110 §9.2.1, §9.2.2.
func byProtocol(method string) retry.Idempotency {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return retry.Safe
	case http.MethodPut, http.MethodDelete:
		return retry.Idempotent
	}
	return retry.Unspecified
}

package harness

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
)

// OverHTTP is hello as a net/http server, as most stacks have it. A stack that
// embeds it has its Serve.
//
// It answers the routes with 200 and the node's ID; 500 when it failed, 503
// when it is overloaded; GET /health with 200, and 503 when it drains. While
// it drains, answers say "Connection: close". A POST with an Idempotency-Key
// has its effect once a key.
type OverHTTP struct{}

// HealthPath is where [OverHTTP] says how it is.
const HealthPath = "/health"

// Serve implements Stack.
func (OverHTTP) Serve(l net.Listener, hello *Hello) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+HealthPath, func(w http.ResponseWriter, _ *http.Request) {
		if !hello.Healthy() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	for _, route := range AllRoutes {
		mux.HandleFunc(route.String(), func(w http.ResponseWriter, r *http.Request) {
			req := Request{
				Route: route, ID: r.Header.Get(RequestID), Attempt: 1,
				Key: r.Header.Get(IdempotencyKey), Peer: r.RemoteAddr,
			}
			if n, err := strconv.Atoi(r.Header.Get(AttemptHeader)); err == nil {
				req.Attempt = n
			}
			_, _ = io.Copy(io.Discard, r.Body) // an unread body keeps net/http from noticing that the caller has gone
			node, err := hello.Serve(r.Context(), req)
			if !hello.Healthy() {
				w.Header().Set("Connection", "close")
			}
			if err != nil {
				status(w, err)
				return
			}
			_, _ = io.WriteString(w, node) // the client has gone
		})
	}
	return ServeHTTP(l, mux)
}

func status(w http.ResponseWriter, err error) {
	code := http.StatusBadRequest
	switch {
	case errors.Is(err, ErrReplyLost):
		panic(http.ErrAbortHandler)
	case errors.Is(err, ErrFailed):
		code = http.StatusInternalServerError
	case errors.Is(err, ErrOverloaded):
		code = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), code)
}

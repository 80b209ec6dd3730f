package idempotency

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
)

// Wrap returns next behind the guard. GET, HEAD, OPTIONS and TRACE, which
// change nothing, pass; so do other requests without a key, unless it is
// Required.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, next) })
}

func (g *Guard) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		next.ServeHTTP(w, r)
		return
	}
	key, err := g.keyOf(r.Header)
	switch {
	case errors.Is(err, errNoKey) && !(g.cfg.Required && (r.Method == http.MethodPost || r.Method == http.MethodPatch)):
		next.ServeHTTP(w, r)
		return
	case err != nil:
		g.refuse(w, r, problemKey, err.Error(), nil)
		return
	}
	payload, prefix, err := g.read(r)
	switch {
	case errors.Is(err, errTooLarge):
		g.refuse(w, r, problemTooLarge, "", nil)
		return
	case err != nil: // the client has gone, or broke off
		g.refuse(w, r, problemBody, "", nil)
		return
	}
	x := &Execution{g: g, id: key, owner: g.owner()}
	x.out = &x.rec
	tenant := ""
	if g.cfg.Tenant != nil {
		tenant = g.cfg.Tenant(r)
	}
	x.key = scoped(tenant, r, key)
	want := Reservation{
		Owner: x.owner, Lease: g.cfg.Lease, Lifetime: g.cfg.Lifetime, Rerun: g.cfg.Rerun != nil && g.cfg.Rerun(r),
	}
	if g.cfg.Fingerprint != nil {
		want.Fingerprint = sha256.Sum256(g.cfg.Fingerprint(r, payload[prefix:]))
	} else {
		want.Fingerprint = sha256.Sum256(payload)
	}
	x.body.Reset(payload[prefix:])

	if err := x.reserve(r.Context(), want); err != nil {
		x.unreserved(w, r, next, err)
		return
	}
	x.serve(w, r, next)
}

// serve answers by what the store has found.
func (x *Execution) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	g, expires := x.g, x.found.Expires
	switch x.found.State {
	case Reserved:
		x.run(w, r, next)
	case Running:
		g.answer(w, r, problemRunning, expires, nil)
	case Lapsed:
		g.answer(w, r, problemUnknown, expires, nil)
	case Mismatch:
		g.refuse(w, r, problemMismatch, "", nil)
	case Done:
		switch a, err := parseAnswer(x.found.Answer); {
		case err != nil:
			g.answer(w, r, problemUnknown, expires, err)
		case a.kind == kindCut:
			g.answer(w, r, problemNotKept.of(a.status), expires, nil)
		default:
			a.replay(w, expires)
			g.tell(r, Replayed, nil)
		}
	default:
		g.refuse(w, r, problemStore, "", errAnswer)
	}
}

// run has the handler carry the request out.
func (x *Execution) run(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x.rec.w, x.rec.max, x.rec.header = w, x.g.cfg.MaxAnswer, make(http.Header)
	req := r.WithContext(&x.lease)
	x.bring(req)
	returned := false
	defer func() {
		x.lease.end(context.Canceled)
		if !returned { // a panic, or runtime.Goexit: it goes on
			word, err := x.lost()
			x.g.tell(r, word, err)
		}
	}()
	next.ServeHTTP(&x.rec, req)
	returned = true

	word, err := x.settle()
	if x.rec.through && (x.fate == undecided || x.fate == revoked) {
		x.g.tell(r, word, err)
		panic(http.ErrAbortHandler) // what was sent is not true
	}
	if word == InProgress {
		x.rec.drop()
		x.g.answer(w, r, problemRunning, x.found.Expires, err)
		return
	}
	if !x.rec.through {
		h := w.Header()
		if word == "" {
			h[HeaderExpires] = x.g.expires
		} else {
			h[HeaderStatus] = []string{word}
		}
		x.rec.send()
	}
	x.g.tell(r, word, err)
}

// bring gives the handler's request the body that was read.
func (x *Execution) bring(req *http.Request) {
	if req.Body != nil && req.Body != http.NoBody {
		req.Body, req.ContentLength = &x.body, x.body.Size()
	}
}

// unreserved answers where the store has failed.
func (x *Execution) unreserved(w http.ResponseWriter, r *http.Request, next http.Handler, err error) {
	g := x.g
	if errors.Is(err, ErrFull) {
		g.refuse(w, r, problemFull, "", err)
		return
	}
	if !g.cfg.FailOpen {
		x.withdraw()
		g.refuse(w, r, problemStore, "", err)
		return
	}
	req := r.WithContext(r.Context())
	x.bring(req)
	next.ServeHTTP(w, req)
	g.tell(r, "", err)
}

func (g *Guard) tell(r *http.Request, status string, err error) {
	if g.cfg.OnEvent != nil {
		g.cfg.OnEvent(Event{Request: r, Status: status, Err: err})
	}
}

var errTooLarge = errors.New("the body is too large")

// firstRead is how much room is made for a body that a client only promises.
const firstRead = 64 << 10

// read returns what the fingerprint is of: method, path, query, and behind that
// prefix the body.
func (g *Guard) read(r *http.Request) (payload []byte, prefix int, err error) {
	size := max(r.ContentLength, 0)
	if size > g.cfg.MaxBody {
		return nil, 0, errTooLarge
	}
	b := make([]byte, 0, int64(len(r.Method)+len(r.URL.Path)+len(r.URL.RawQuery)+16)+min(size, firstRead)+1)
	b = appendString(b, r.Method)
	b = appendString(b, r.URL.Path)
	b = appendString(b, r.URL.RawQuery)
	prefix = len(b)
	if r.Body == nil || r.Body == http.NoBody {
		return b, prefix, nil
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)-prefix) > g.cfg.MaxBody:
			return nil, 0, errTooLarge
		case err == io.EOF:
			return b, prefix, nil
		case err != nil:
			return nil, 0, err
		}
	}
}

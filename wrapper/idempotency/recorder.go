package idempotency

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
)

// errClosed is what a handler gets that writes when its answer is settled.
var errClosed = errors.New("idempotency: the answer is settled: nothing more can be written")

// recorder is the handler's http.ResponseWriter. It holds the answer back until
// it is kept, or has grown too large for that.
type recorder struct {
	w   http.ResponseWriter
	max int64

	mu      sync.Mutex
	header  http.Header // the handler's own: what others around it have set is not part of the answer
	hidden  http.Header // what of theirs it has taken the place of
	status  int         // 0: not written yet
	kept    []byte      // the answer as it will be kept
	head    int         // how much of that is not the body
	through bool        // too large: it goes straight to the client
	closed  bool
	inline  [256]byte // for kept: most answers are small
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter. Informational statuses are left
// out.
func (r *recorder) WriteHeader(status int) {
	if status < 100 || status > 999 { // as net/http does
		panic(fmt.Sprintf("idempotency: invalid WriteHeader code %d", status))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writeHeader(status)
}

// writeHeader settles status and header. Caller holds mu.
func (r *recorder) writeHeader(status int) {
	if r.status != 0 || r.closed || status < 200 {
		return
	}
	r.status = status
	r.kept = appendHead(r.inline[:0], kindWhole, status, r.header)
	r.head = len(r.kept)
	theirs := r.w.Header()
	for name, values := range r.header {
		if name == HeaderStatus || name == HeaderExpires || name == "Trailer" {
			continue
		}
		if old, ok := theirs[name]; ok {
			if r.hidden == nil {
				r.hidden = make(http.Header)
			}
			r.hidden[name] = old
		}
		theirs[name] = values
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, errClosed
	}
	r.writeHeader(http.StatusOK)
	switch {
	case r.status == http.StatusNoContent || r.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case r.through:
		return r.w.Write(p)
	case int64(len(r.kept)-r.head+len(p)) <= r.max:
		r.kept = append(r.kept, p...)
		return len(p), nil
	case len(p) == 0:
		return 0, nil
	}
	r.through = true
	r.w.WriteHeader(r.status)
	if body := r.kept[r.head:]; len(body) > 0 {
		if _, err := r.w.Write(body); err != nil {
			return 0, err
		}
	}
	r.kept = nil
	return r.w.Write(p)
}

// Flush implements http.Flusher: see the package's documentation.
func (r *recorder) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.through && !r.closed {
		_ = http.NewResponseController(r.w).Flush()
	}
}

// close takes the answer away from the handler. It is 200 where nothing was
// written.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writeHeader(http.StatusOK)
	r.closed = true
}

// drop takes back what was written, unless it was sent.
func (r *recorder) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed = false; r.through {
		return
	}
	if r.status != 0 {
		theirs := r.w.Header()
		for name := range r.header {
			delete(theirs, name)
		}
		maps.Copy(theirs, r.hidden)
	}
	clear(r.header)
	r.status, r.kept, r.head, r.hidden = 0, nil, 0, nil
}

// answer is what is to be kept. The recorder is closed.
func (r *recorder) answer() []byte {
	if r.through {
		return appendHead(nil, kindCut, r.status, nil)
	}
	return bytes.Clone(r.kept)
}

func (r *recorder) refuses() bool { return refuses(r.status) }

func (r *recorder) sent() bool { return r.through }

// send sends what was held back.
func (r *recorder) send() {
	if r.through {
		return
	}
	r.w.WriteHeader(r.status)
	if body := r.kept[r.head:]; len(body) > 0 {
		_, _ = r.w.Write(body) // the client has gone, and will be back
	}
}

package httpwrap

import (
	"errors"
	"io"
	"sync"
)

// ErrBodyTooLarge is matched by the error of a call that was not tried again
// because its request's body has no GetBody and is larger than
// Config.BodyLimit.
var ErrBodyTooLarge = errors.New("the request's body is too large to be sent again: set Request.GetBody, or raise BodyLimit")

var errSuperseded = errors.New("httpwrap: read of the body of an attempt that is over")

// replay lets a request's body be sent more than once without GetBody: what is
// read of it is kept, up to a limit, and read again by the next attempt, which
// then goes on where the last one stopped. So nothing is read ahead of the
// first attempt, and a body that nobody has read yet can be sent again
// whatever its size.
type replay struct {
	src   io.ReadCloser
	limit int64

	mu      sync.Mutex
	turn    sync.Cond // on mu: reading has ended, or a view is closed
	kept    []byte
	lost    bool  // more was read than is kept
	frozen  bool  // another attempt is promised: no more is read than can be kept
	reading bool  // a view is inside src.Read
	err     error // what src ended with
	newest  *view
	users   int // open views, and the call itself
}

// newReplay is for a body of that many bytes, -1 if that is not known. The
// caller is one of its users: see release.
func newReplay(src io.ReadCloser, size, limit int64) *replay {
	r := &replay{src: src, limit: limit, users: 1}
	if size > limit || limit < 0 {
		r.limit = 0 // it will be lost anyway: keep nothing of it
	}
	r.turn.L = &r.mu
	return r
}

// view returns the body from its beginning; earlier views end. It fails with
// ErrBodyTooLarge.
func (r *replay) view() (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return nil, ErrBodyTooLarge
	}
	r.users++
	r.newest = &view{r: r}
	r.turn.Broadcast()
	return r.newest, nil
}

// freeze reports whether the body can be sent again, and keeps it so: an
// upload that goes on waits at the limit, until the next attempt takes over or
// there is none.
func (r *replay) freeze() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = !r.lost
	return r.frozen
}

// thaw takes freeze back.
func (r *replay) thaw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = false
	r.turn.Broadcast()
}

// forget says that there will be no other attempt: nothing more is kept.
func (r *replay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen, r.limit = false, 0
	r.turn.Broadcast()
}

// failed is the error, if any, that the caller's own reader ended with.
func (r *replay) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == io.EOF { //nolint:errorlint // a Reader's contract
		return nil
	}
	return r.err
}

// release ends one use. The last one closes the source.
func (r *replay) release() error {
	r.mu.Lock()
	r.users--
	last := r.users == 0
	r.mu.Unlock()
	if last {
		return r.src.Close()
	}
	return nil
}

// view is the body as one attempt reads it. Its transport may go on reading
// when the attempt is over, and may close it while it reads.
type view struct {
	r      *replay
	off    int
	closed bool
}

func (v *view) Read(p []byte) (int, error) {
	r := v.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for !v.closed && r.newest == v && (r.reading || r.full(v)) {
		r.turn.Wait()
	}
	switch {
	case v.closed || r.newest != v:
		return 0, errSuperseded
	case v.off < len(r.kept):
		n := copy(p, r.kept[v.off:])
		v.off += n
		return n, nil
	case r.err != nil:
		return 0, r.err
	case len(p) == 0:
		return 0, nil
	}
	if r.frozen {
		p = p[:min(int64(len(p)), r.limit-int64(len(r.kept)))]
	}
	r.reading = true
	r.mu.Unlock()
	n, err := r.src.Read(p)
	r.mu.Lock()
	r.reading = false
	r.err = err
	r.keep(v, p[:n])
	v.off += n
	r.turn.Broadcast()
	return n, err
}

// full reports whether v must not read on from the source, since what it read
// could not be kept, and was promised to another attempt. Caller holds mu.
func (r *replay) full(v *view) bool {
	return r.frozen && r.err == nil && v.off == len(r.kept) && int64(len(r.kept)) >= r.limit
}

// keep appends what v has read. What an attempt that is over was still reading
// is kept in any case: the next one was promised all of it. Caller holds mu.
func (r *replay) keep(v *view, p []byte) {
	switch {
	case r.lost || len(p) == 0:
	case r.frozen || v != r.newest || int64(len(r.kept)+len(p)) <= r.limit:
		r.kept = append(r.kept, p...)
	default:
		r.lost, r.kept = true, nil
	}
}

func (v *view) Close() error {
	r := v.r
	r.mu.Lock()
	again := v.closed
	v.closed = true
	r.turn.Broadcast()
	r.mu.Unlock()
	if again {
		return nil
	}
	return r.release()
}

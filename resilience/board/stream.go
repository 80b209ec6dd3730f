package board

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// streams are what is open to watchers: of a Board, or of a Gathering.
type streams struct {
	most     int           // watchers at once
	patience time.Duration // with one that reads slowly
	epoch    time.Time     // when second 0 began, in real time

	mu       sync.Mutex
	watchers map[*watcher]context.CancelCauseFunc
	closed   bool
}

func (b *streams) open(most int, patience time.Duration) {
	b.most, b.patience, b.epoch = most, patience, clock.System.Now()
	b.watchers = make(map[*watcher]context.CancelCauseFunc)
}

// close ends them; later ones are refused.
func (b *streams) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, cancel := range b.watchers {
		cancel(nil)
	}
}

// watcher is one reader of a stream. It has no queue: what it is shown is what
// there is when it comes back for more, so a slow one misses seconds and holds
// nobody up.
type watcher struct{ rc *http.ResponseController }

var (
	errBusy   = errors.New("as many watch as may")
	errClosed = errors.New("the board is closed")
)

// enter counts a watcher in, and gives its request a context that ends with
// the board.
func (b *streams) enter(ctx context.Context, w *watcher) (context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, errClosed
	case len(b.watchers) >= b.most:
		return nil, errBusy
	}
	ctx, b.watchers[w] = clock.System.WithCancel(ctx)
	return ctx, nil
}

func (b *streams) leave(w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers[w](nil)
	delete(b.watchers, w)
}

// stream sends what next returns, now and after each step of the board's time,
// until the watcher goes, is too slow, or the board is closed. Nil is nothing.
func (b *streams) stream(rw http.ResponseWriter, r *http.Request, step time.Duration, next func(step int64) []byte) {
	h := rw.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("X-Accel-Buffering", "no") // nginx
	if r.Method == http.MethodHead {
		return
	}
	w := &watcher{rc: http.NewResponseController(rw)}
	ctx, err := b.enter(r.Context(), w)
	if err != nil {
		h.Set("Retry-After", "10")
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer b.leave(w)
	w.deadline(clock.System.Now().Add(b.patience))
	defer w.deadline(time.Time{}) // the connection may be used again
	if err := w.rc.Flush(); errors.Is(err, http.ErrNotSupported) {
		http.Error(rw, "this server cannot stream", http.StatusInternalServerError)
		return
	}
	for {
		n := int64(clock.System.Now().Sub(b.epoch) / step)
		if data := next(n); data != nil {
			w.deadline(clock.System.Now().Add(b.patience))
			if _, err := rw.Write(data); err != nil {
				return
			}
			if err := w.rc.Flush(); err != nil {
				return
			}
			w.deadline(time.Time{}) // in HTTP/2 it would end a stream that has nothing to write
		}
		left := b.epoch.Add(time.Duration(n+1) * step).Sub(clock.System.Now())
		if clock.System.Sleep(ctx, left) != nil {
			return
		}
	}
}

// deadline bounds the next write, as far as the server can. Where it cannot, a
// watcher that is stuck stays until its connection ends, and costs that.
func (w *watcher) deadline(t time.Time) { _ = w.rc.SetWriteDeadline(t) }

// frames is what all watchers of a stream are sent, made once a step by the
// first who comes for it; others wait for that one. No lock is held meanwhile:
// making it asks the breakers, which may be a user's.
type frames struct {
	mu   sync.Mutex
	step int64 // that data is of, from 1
	data []byte
	busy chan struct{} // closed when whoever is at it is done; nil: nobody is
}

// of returns the frame of a step, or of one that came after it.
func (f *frames) of(step int64, build func() []byte) []byte {
	for {
		f.mu.Lock()
		if f.step > step {
			defer f.mu.Unlock()
			return f.data
		}
		busy := f.busy
		if busy == nil {
			f.busy = make(chan struct{})
			f.mu.Unlock()
			return f.build(step, build)
		}
		f.mu.Unlock()
		<-busy
	}
}

func (f *frames) build(step int64, build func() []byte) (data []byte) {
	made := false
	defer func() { // also after a panic, which is this watcher's alone
		f.mu.Lock()
		defer f.mu.Unlock()
		if made {
			f.step, f.data = step+1, data
		}
		close(f.busy)
		f.busy = nil
	}()
	data = build()
	made = true
	return data
}

package idempotency

import (
	"context"
	"sync"
	"time"
)

// span is a context with the values of another, but an end of its own: not
// that of the client, which will come back and ask. Nobody has to wait for it,
// and most do not: its timer is started by the first who does.
type span struct {
	context.Context // context.WithoutCancel of the request's
	until           time.Time

	mu    sync.Mutex
	done  chan struct{}
	timer *time.Timer
	err   error
}

// Deadline implements context.Context.
func (s *span) Deadline() (time.Time, bool) { return s.until, true }

// Done implements context.Context.
func (s *span) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.err != nil {
			close(s.done)
		} else {
			s.timer = time.AfterFunc(time.Until(s.until), func() { s.end(context.DeadlineExceeded) })
		}
	}
	return s.done
}

// Err implements context.Context.
func (s *span) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !time.Now().Before(s.until) {
		s.finish(context.DeadlineExceeded)
	}
	return s.err
}

func (s *span) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(err)
}

// finish ends the context, once. Caller holds mu.
func (s *span) finish(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.done != nil {
		close(s.done)
	}
}

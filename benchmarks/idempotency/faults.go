package idempotency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/realserver"
)

// deed is one thing that is done.
type deed func(ctx context.Context, s *realserver.Server) error

// faults does, spread over the requests, one at a time: kills at each point, dropped
// replies, frozen servers, and restarts of the store.
func (r *run) faults(ctx context.Context) error {
	var deeds []deed
	for i := range r.cfg.Kills {
		for _, p := range []Point{Before, Between, After} {
			deeds = append(deeds, r.kill(p))
		}
		deeds = append(deeds, r.drop)
		if i%3 == 0 {
			deeds = append(deeds, r.freeze)
		}
		if i == r.cfg.Kills/2 && r.store != nil {
			deeds = append(deeds, r.restart)
		}
	}
	// The first few requests and the last go undisturbed. While something is
	// done, which may take long, the load goes on, but not without end.
	part := r.cfg.Requests / (len(deeds) + 2)
	for i, do := range deeds {
		r.allowed.Store(max(r.allowed.Load(), int64((i+3)*part)))
		if !r.reached(ctx, (i+1)*part) {
			return context.Cause(ctx)
		}
		if err := do(ctx, r.servers[i%len(r.servers)]); err != nil {
			return fmt.Errorf("deed %d of %d: %w", i+1, len(deeds), err)
		}
		if r.cfg.Progress != nil {
			r.cfg.Progress(r.sofar())
		}
	}
	r.allowed.Store(int64(r.cfg.Requests))
	return nil
}

func (r *run) sofar() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report
}

// reached waits until so many requests have ended.
func (r *run) reached(ctx context.Context, n int) bool {
	return await(ctx, func() bool { return int(r.ended.Load()) >= n })
}

func await(ctx context.Context, so func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// arm has the server fail at the next request that gets to the point.
func arm(ctx context.Context, s *realserver.Server, p Point) error {
	return post(ctx, http.MethodPost, s.Addr, "/arm/"+string(p))
}

// patience is how long a request may take to get to an armed point.
const patience = 60 * time.Second

func (r *run) kill(p Point) deed {
	return func(ctx context.Context, s *realserver.Server) error {
		armed := arm(ctx, s, p) // it may die of a request before it has said yes
		if err := r.trickle(ctx, s.Exited()); err != nil {
			return fmt.Errorf("the point %q: %w", p, errors.Join(err, armed))
		}
		r.hit(p)
		return s.Start()
	}
}

// trickle lets requests through, a few at a time, until a server has died of
// them: it may have been ejected, and then only time and requests bring it back.
func (r *run) trickle(ctx context.Context, died <-chan struct{}) error {
	tick, end := time.NewTicker(10*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer end.Stop()
	for {
		select {
		case <-died:
			return nil
		case <-tick.C:
			r.allowed.Add(1)
		case <-end.C:
			return fmt.Errorf("no request got there within %v", patience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *run) drop(ctx context.Context, s *realserver.Server) error {
	if err := arm(ctx, s, Drop); err != nil {
		return err
	}
	r.hit(Drop)
	return nil
}

func (r *run) hit(p Point) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Hits[p]++
}

// freeze has a server hang with all that it is doing, past timeouts and leases.
func (r *run) freeze(ctx context.Context, s *realserver.Server) error {
	if err := pause(s.Pid()); err != nil {
		return err
	}
	select {
	case <-time.After(r.cfg.Freeze):
	case <-ctx.Done():
	}
	r.mu.Lock()
	r.report.Frozen++
	r.mu.Unlock()
	return resume(s.Pid())
}

// restart kills the store, and starts it again.
func (r *run) restart(context.Context, *realserver.Server) error {
	r.store.Kill()
	r.mu.Lock()
	r.report.Restarts++
	r.mu.Unlock()
	return r.store.Start()
}

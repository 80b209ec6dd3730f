package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// shot is one request of the load and what came of it. Times count from the
// beginning of the load.
type shot struct {
	Arrival
	Sent      time.Duration // when it went out
	Done      time.Duration // when its answer was read
	Unsent    bool          // too many were under way: it was never made
	Status    int           // 0: no answer
	Ambiguous bool          // the answer says that it may have been carried out
	Err       string
}

// ok reports whether the request did what it should.
func (s *shot) ok() bool { return s.Status == http.StatusOK }

// latency counts from when the request was due, not from when it was sent: a
// load generator that is held up does not hide it.
func (s *shot) latency() time.Duration { return s.Done - s.Due }

// load is an open-loop load generator: requests go out when they are due,
// however many are under way.
type load struct {
	base    string
	timeout time.Duration // of a call, as the user API keeps it
	start   time.Time
	shots   []shot

	sent, done, failed, unsent atomic.Int64
}

// maxUnderWay bounds memory and sockets. An arrival beyond it is not made, and
// counts as failed.
const maxUnderWay = 4000

// run fires all arrivals and returns when all are answered, or ctx is done.
func (l *load) run(ctx context.Context, arrivals []Arrival) error {
	client := newLoadClient()
	defer client.CloseIdleConnections()
	l.shots = make([]shot, len(arrivals))
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, a := range arrivals {
		s := &l.shots[i]
		s.Arrival = a
		timer.Reset(time.Until(l.start.Add(a.Due)))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		if l.sent.Load()-l.done.Load() >= maxUnderWay {
			s.Unsent, s.Err = true, fmt.Sprintf("not sent: %d requests were under way", maxUnderWay)
			l.unsent.Add(1)
			l.failed.Add(1)
			continue
		}
		l.sent.Add(1)
		wg.Go(func() {
			s.Sent = time.Since(l.start)
			s.fire(ctx, client, l.base, l.timeout)
			s.Done = time.Since(l.start)
			if !s.ok() {
				l.failed.Add(1)
			}
			l.done.Add(1)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// margin is what a call may take above its timeout before the load generator
// gives it up: the user API shall say itself what became of it.
const margin = 2 * time.Second

// fire makes the request and keeps what came of it.
func (s *shot) fire(ctx context.Context, client *http.Client, base string, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout+margin)
	defer cancel()
	var body io.Reader
	if s.Route == Post {
		body = strings.NewReader(`{"user":"` + s.ID + `"}`)
	}
	req, err := http.NewRequestWithContext(ctx, s.Route.Method(), base+s.Route.Path(), body)
	if err != nil {
		s.Err = err.Error()
		return
	}
	req.Header.Set(RequestID, s.ID)
	resp, err := client.Do(req)
	if err != nil {
		s.Err = err.Error()
		return
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&a); err != nil {
		s.Err = fmt.Sprintf("status %d, body: %v", resp.StatusCode, err)
		return
	}
	s.Status, s.Ambiguous, s.Err = resp.StatusCode, a.Ambiguous, a.Error
	if !s.ok() && s.Err == "" {
		s.Err = resp.Status
	}
}

func newLoadClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, maxUnderWay
	t.DisableCompression = true
	return &http.Client{Transport: t}
}

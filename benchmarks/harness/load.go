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

// Shot is one request of the load and what came of it. Times count from the
// beginning of the load.
type Shot struct {
	Arrival
	Sent      time.Duration // when it went out
	Done      time.Duration // when its answer was read
	OK        bool          // it did what it should
	Unsent    bool          `json:",omitempty"` // too many were under way: it was never made
	Ambiguous bool          `json:",omitempty"` // the client says that it may have been carried out
	Node      string        `json:",omitempty"` // who answered
	Err       string        `json:",omitempty"`
	Process   int           `json:",omitempty"` // which of the client processes made it
}

// Latency counts from when the request was due, not from when it was sent: a
// load generator that is held up does not hide it.
func (s *Shot) Latency() time.Duration { return s.Done - s.Due }

// load is an open-loop load generator: requests go out when they are due,
// however many are under way.
type load struct {
	start time.Time
	fire  func(ctx context.Context, s *Shot) // makes the request and keeps what came of it
	shots []Shot

	sent, done, failed, unsent atomic.Int64
}

// maxUnderWay bounds memory and sockets. An arrival beyond it is not made, and
// counts as failed.
const maxUnderWay = 4000

// run fires all arrivals and returns when all are answered, or ctx is done.
func (l *load) run(ctx context.Context, arrivals []Arrival) error {
	l.shots = make([]Shot, len(arrivals))
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
			l.fire(ctx, s)
			s.Done = time.Since(l.start)
			if !s.OK {
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

func (l *load) count() (sent, failed int) { return int(l.sent.Load()), int(l.failed.Load()) }

// margin is what a call may take above its timeout before the load generator
// gives it up: the user API shall say itself what became of it.
const margin = 2 * time.Second

// front is the service to which [Failover]'s load goes.
type front struct {
	client  *http.Client
	base    string        // its URL
	timeout time.Duration // of a call, as the user API keeps it
}

func newFront(base string, timeout time.Duration) *front {
	return &front{newLoadClient(), base, timeout}
}

func (f *front) close() { f.client.CloseIdleConnections() }

// fire makes a request.
func (f *front) fire(ctx context.Context, s *Shot) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout+margin)
	defer cancel()
	var body io.Reader
	if s.Route == Post {
		body = strings.NewReader(`{"user":"` + s.ID + `"}`)
	}
	req, err := http.NewRequestWithContext(ctx, s.Route.Method(), f.base+s.Route.Path(), body)
	if err != nil {
		s.Err = err.Error()
		return
	}
	req.Header.Set(RequestID, s.ID)
	resp, err := f.client.Do(req)
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
	s.OK, s.Ambiguous, s.Err, s.Node = resp.StatusCode == http.StatusOK, a.Ambiguous, a.Error, a.Node
	if !s.OK && s.Err == "" {
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

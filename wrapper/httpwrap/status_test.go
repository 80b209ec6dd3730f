package httpwrap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// lastAttempt returns the latest attempt's event as observers heard it.
func lastAttempt(events *recorder) resilience.Event {
	list := events.of(resilience.AttemptDone)
	return list[len(list)-1]
}

// TestStatusTable is the outcome table's view of statuses: whether a POST and
// a GET are tried again, and what is said about the node.
func TestStatusTable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code      int
		trust     bool
		outcome   string
		node      breaker.Result
		post, get int // attempts
		ambiguous bool
	}{
		{200, false, "succeeded", breaker.Success, 1, 1, false},
		{204, false, "succeeded", breaker.Success, 1, 1, false},
		{304, false, "succeeded", breaker.Success, 1, 1, false},
		{400, false, "failed", breaker.Success, 1, 1, false},
		{404, false, "failed", breaker.Success, 1, 1, false},
		{409, false, "failed", breaker.Success, 1, 1, false},
		{499, false, "failed", breaker.Success, 1, 1, false},
		{501, false, "failed", breaker.Success, 1, 1, false},
		{505, false, "failed", breaker.Success, 1, 1, false},
		{408, false, "refused", breaker.Ignored, 3, 3, false},
		{429, false, "refused", breaker.Ignored, 3, 3, false},
		{421, false, "not sent", breaker.Failure, 3, 3, false},
		{425, false, "not sent", breaker.Failure, 3, 3, false},
		{500, false, "ambiguous", breaker.Failure, 1, 3, true},
		{502, false, "ambiguous", breaker.Failure, 1, 3, true},
		{503, false, "ambiguous", breaker.Failure, 1, 3, true},
		{504, false, "ambiguous", breaker.Failure, 1, 3, true},
		{507, false, "ambiguous", breaker.Failure, 1, 3, true},
		{599, false, "ambiguous", breaker.Failure, 1, 3, true},
		{999, false, "ambiguous", breaker.Failure, 1, 3, true},
		{503, true, "refused", breaker.Ignored, 3, 3, false},
		{500, true, "ambiguous", breaker.Failure, 1, 3, true},
	}
	for _, tt := range tests {
		for method, attempts := range map[string]int{"POST": tt.post, "GET": tt.get} {
			t.Run(fmt.Sprintf("%d/%s/trust=%v", tt.code, method, tt.trust), func(t *testing.T) {
				t.Parallel()
				var served atomic.Int64
				n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
					served.Add(1)
					w.WriteHeader(tt.code)
				})
				events := new(recorder)
				tr := http1.newTransport(t, config{Services: services{
					host: {Observer: events, Settings: settings{TrustRefusals: tt.trust}},
				}}, n.addr())
				got := send(t, tr, request(t, method, http1.url("/"), ""))
				if got.err != nil || got.code != tt.code {
					t.Fatalf("%d, %v: want the last attempt's response", got.code, got.err)
				}
				if int(served.Load()) != attempts || got.facts.Attempts != attempts {
					t.Errorf("%d attempts served, %d told; want %d", served.Load(), got.facts.Attempts, attempts)
				}
				if got.facts.Ambiguous != tt.ambiguous {
					t.Errorf("ambiguous: %v, want %v", got.facts.Ambiguous, tt.ambiguous)
				}
				if o := lastAttempt(events).Outcome; o.Name != tt.outcome || o.Node != tt.node {
					t.Errorf("outcome %q, node %v; want %q, %v", o, o.Node, tt.outcome, tt.node)
				}
			})
		}
	}
}

// TestIdempotencyOfMethods: HTTP's own promises, RFC 9110 §9.2.
func TestIdempotencyOfMethods(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	events := new(recorder)
	tr := http1.newTransport(t, config{Services: services{host: {
		Observer: events,
		Settings: settings{Budget: resilience.BudgetSettings{Share: -1}},
	}}}, n.addr())
	for method, want := range map[string]retry.Idempotency{
		"GET": retry.Safe, "HEAD": retry.Safe, "OPTIONS": retry.Safe, "TRACE": retry.Safe,
		"PUT": retry.Idempotent, "DELETE": retry.Idempotent,
		"POST": retry.Unspecified, "PATCH": retry.Unspecified, "LOCK": retry.Unspecified,
	} {
		got := send(t, tr, request(t, method, http1.url("/"), ""))
		if i := lastAttempt(events).Idempotency; i != want {
			t.Errorf("%s is %v, want %v", method, i, want)
		}
		if again := got.facts.Attempts > 1; again != want.Repeatable() {
			t.Errorf("%s: %d attempts", method, got.facts.Attempts)
		}
		if why := got.facts.Why; !want.Repeatable() && why != retry.NotRepeatable || want.Repeatable() && why != retry.Exhausted {
			t.Errorf("%s: no further attempt since %v", method, why)
		}
	}
}

// TestRetryAfterIsWaitedFor: both forms, as they are, by whoever may be tried
// again; what is too long ends the call.
func TestRetryAfterIsWaitedFor(t *testing.T) {
	t.Parallel()
	date := time.Now().UTC().Truncate(time.Second)
	tests := []struct {
		name, after, method string
		code                int
		trust               bool
		wait                time.Duration // -1: not tried again
	}{
		{"seconds", "7", "POST", 429, false, 7 * time.Second},
		{"date", date.Add(9 * time.Second).Format(http.TimeFormat), "POST", 429, false, 9 * time.Second},
		{"trusted 503", "7", "POST", 503, true, 7 * time.Second},
		{"503 of a GET", "7", "GET", 503, false, 7 * time.Second},
		{"503 of a POST", "7", "POST", 503, false, -1},
		{"too long", "31", "GET", 429, false, -1},
		{"overflow", "99999999999999999999999999", "GET", 429, false, -1},
		{"garbage", "soon", "GET", 429, false, 0},
		{"negative", "-7", "GET", 429, false, 0},
		{"past", date.Add(-time.Hour).Format(http.TimeFormat), "GET", 429, false, 0},
		{"of an answer", "7", "GET", 404, false, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", date.Format(http.TimeFormat))
				w.Header().Set("Retry-After", tt.after)
				w.WriteHeader(tt.code)
			})
			ctx, cancel := cancellable(t)
			events := new(recorder)
			events.heard = func(e resilience.Event) {
				if e.Kind == resilience.RetryWaiting {
					cancel() // nobody wants to wait
				}
			}
			tr := http1.newTransport(t, config{Services: services{host: {Observer: events, Settings: settings{TrustRefusals: tt.trust}}}}, n.addr())
			got := send(t, tr, requestWith(ctx, t, tt.method, http1.url("/"), ""))
			waits := events.of(resilience.RetryWaiting)
			switch {
			case tt.wait <= 0 && len(waits) > 0:
				t.Errorf("waits for %v, want no wait", waits[0].Wait)
			case tt.wait > 0 && (len(waits) != 1 || waits[0].Wait != tt.wait):
				t.Errorf("waits %+v, want one of %v", waits, tt.wait)
			case tt.wait > 0 && !errors.Is(got.err, context.Canceled):
				t.Errorf("%d, %v for a caller who is gone", got.code, got.err)
			case tt.wait < 0 && (got.code != tt.code || got.facts.Attempts != 1 || got.head.Get("Retry-After") != tt.after):
				t.Errorf("%d after %d attempts, %v: want the response, hint included", got.code, got.facts.Attempts, got.err)
			case tt.wait == 0 && got.facts.Attempts != 3:
				t.Errorf("%d attempts, want 3", got.facts.Attempts)
			}
		})
	}
}

// TestStatusErrorIsHeard: observers are told the status.
func TestStatusErrorIsHeard(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(502)
		_, _ = io.WriteString(w, "body")
	})
	events := new(recorder)
	tr := http1.newTransport(t, config{Services: services{host: {Observer: events}}}, n.addr())
	got := send(t, tr, request(t, "POST", http1.url("/"), ""))
	if got.code != 502 || got.body != "body" {
		t.Errorf("%d %q", got.code, got.body)
	}
	if e, ok := find[*httpwrap.StatusError](lastAttempt(events).Err); !ok || e.Code != 502 || e.Error() != "status 502 Bad Gateway" {
		t.Errorf("heard %v", lastAttempt(events).Err)
	}
}

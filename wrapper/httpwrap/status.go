package httpwrap

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// StatusError is what a response with a failing status is to retries and
// observers. The caller is given the response instead.
type StatusError struct{ Code int }

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d %s", e.Code, http.StatusText(e.Code))
}

// byStatus is the outcome table's view of a response that is no success:
// RFC 9110 §15; 421 and 425 say that the request was not processed, §15.5.20
// and RFC 8470 §5.2.
func byStatus(code int) resilience.Outcome {
	switch {
	case code < 400:
		return resilience.Succeeded
	case code == http.StatusMisdirectedRequest, code == http.StatusTooEarly:
		return resilience.NotSent
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return resilience.Refused
	case code < 500, code == http.StatusNotImplemented, code == http.StatusHTTPVersionNotSupported:
		return resilience.Failed
	}
	return resilience.Ambiguous
}

// marked are the errors of the statuses that need no further look.
var marked = func() (list [200]error) {
	for i := range list {
		list[i] = resilience.Mark(&StatusError{400 + i}, byStatus(400+i))
	}
	return list
}()

// judge returns the error of a response that stands for a status, with its
// evidence; nil for a success.
func (s *service) judge(resp *http.Response, code int) error {
	o := byStatus(code)
	if o.Name == resilience.Succeeded.Name {
		return nil
	}
	if code == http.StatusServiceUnavailable && s.client.Settings().TrustRefusals {
		o = resilience.Refused
	}
	if hints := resp.Header["Retry-After"]; o.Again && len(hints) > 0 {
		o.After, _ = retryAfter(hints[0], resp.Header.Get("Date"), time.Now())
		o.Again = o.After <= s.t.cfg.MaxRetryAfter
	} else if o == byStatus(code) && code < 600 {
		return marked[code-400]
	}
	return resilience.Mark(&StatusError{code}, o)
}

// retryAfter reads a Retry-After field (RFC 9110 §10.2.3): seconds, or a date,
// from which the server's own Date is taken away if there is one, so that
// clocks need not agree. A date in the past is 0. Nothing is made of anything
// else.
func retryAfter(field, date string, now time.Time) (after time.Duration, ok bool) {
	if isDigits(field) {
		seconds, err := strconv.ParseInt(field, 10, 64)
		if err != nil || seconds > int64(forever/time.Second) {
			return forever, true // too many digits
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(field)
	if err != nil {
		return 0, false
	}
	if sent, err := http.ParseTime(date); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), forever), true
}

// forever caps a Retry-After: what is longer is not worth waiting for either.
const forever = 365 * 24 * time.Hour

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

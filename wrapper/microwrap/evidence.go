package microwrap

import (
	"errors"
	"net/http"
	"strings"
	"syscall"

	merrors "go-micro.dev/v5/errors"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// Rows of the outcome table, with a field changed where go-micro tells more.
var (
	// local never left, for a reason that the next attempt would meet too.
	local = resilience.Outcome{Name: resilience.NotSent.Name, Effect: retry.None, Node: breaker.Ignored}
	// exhausted never left, since we have run out of files or ports ourselves.
	exhausted = with(resilience.NotSent, breaker.Ignored)
	// garbled was answered, and nobody can read the answer.
	garbled = resilience.Outcome{Name: resilience.Ambiguous.Name, Effect: retry.Possible, Node: breaker.Success}
	// busy is a load signal, and no proof that nothing was done.
	busy = with(resilience.Ambiguous, breaker.Ignored)
)

func with(o resilience.Outcome, node breaker.Result) resilience.Outcome {
	o.Node = node
	return o
}

// judge is the evidence about an attempt that failed with err, and that has
// ended with it.
func (t *Transport) judge(f *flight, err error, trust bool) resilience.Outcome {
	phase := t.land(f)
	if raw := f.raw.Load(); raw != nil && *raw != nil {
		err = *raw // before anybody has put it into other words
	}
	switch {
	case phase == answered && unreadable(err):
		return garbled
	case phase == answered:
		return byCode(merrors.Parse(err.Error()).Code, trust)
	case phase == sent:
		return resilience.Ambiguous
	case phase == entered && f.asked && f.conn.Load() == nil && (!t.carries.Load() || !unreadable(err) || tookLong(err)):
		return resilience.Ambiguous // it went some other way, for all that is known
	}
	return unsent(err)
}

// byCode is the outcome table's view of a server's answer. go-micro's handlers
// pass on the errors of what they call, so 408 is a timeout that somebody had
// behind the server, and 429 and 503 may be too, unless that is ruled out.
func byCode(code int32, trust bool) resilience.Outcome {
	switch {
	case code == http.StatusRequestTimeout:
		return resilience.Ambiguous
	case code == http.StatusTooManyRequests && !trust:
		return busy
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && trust:
		return resilience.Refused
	case code >= 400 && code < 500, code == http.StatusNotImplemented, code == http.StatusHTTPVersionNotSupported:
		return resilience.Failed
	}
	return resilience.Ambiguous // 5xx; and a text without a code, which may mean anything
}

// The words of go-micro's client. They are looked at only where it is known
// that the error is its own, and not one that a server has passed on.
const (
	clientID    = "go.micro.client"
	codecID     = "go.micro.client.codec"
	transportID = "go.micro.client.transport"
	notDialled  = "connection error:"
)

// unreadable reports whether the answer could not be decoded, or, where nothing
// was sent, the request not encoded.
func unreadable(err error) bool {
	var e *merrors.Error // a server's is a string
	return errors.As(err, &e) && (e.Id == codecID || e.Id == clientID)
}

// tookLong reports whether go-micro's own timer has ended the call.
func tookLong(err error) bool {
	var e *merrors.Error // a server's is a string
	return errors.As(err, &e) && e.Id == clientID && e.Code == http.StatusRequestTimeout
}

// unsent tells a request that cannot be sent anywhere from a node that cannot
// be reached.
func unsent(err error) resilience.Outcome {
	var e *merrors.Error
	if !errors.As(err, &e) {
		return resilience.NotSent
	}
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS} {
		if strings.Contains(e.Detail, own.Error()) {
			return exhausted
		}
	}
	if e.Id == codecID || (e.Id == clientID && e.Code == http.StatusInternalServerError && !strings.HasPrefix(e.Detail, notDialled)) {
		return local
	}
	return resilience.NotSent
}

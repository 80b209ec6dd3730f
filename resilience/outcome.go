package resilience

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// Outcome is what an attempt came to. It answers three questions that do not
// depend on each other. The named ones below are the usual rows; take one and
// change a field where the evidence says more:
//
//	o := resilience.Refused
//	o.After = 2 * time.Second
//	return resilience.Mark(err, o)
type Outcome struct {
	Name   string         // for people and metrics
	Effect retry.Effect   // may the attempt have been carried out?
	Again  bool           // could another attempt end differently?
	After  time.Duration  // and not before this; 0: at once
	Node   breaker.Result // what does it say about the node?

	// Pending: the server is still carrying out an earlier attempt of this
	// call, which it knows by its key. To ask again is no retry: it costs neither an attempt
	// nor budget, and goes on as long as there is time.
	Pending bool

	// Settles: the server carries out a call's key once, and this is what came
	// of it. It takes away the doubt that earlier attempts have left.
	Settles bool
}

// The rows of the outcome table. Do not assign to them.
var (
	// Succeeded is an answer that is no error.
	Succeeded = Outcome{Name: "succeeded", Effect: retry.Answered, Node: breaker.Success}
	// NotSent is certain never to have reached the server: the connection was
	// refused or never obtained, the name not resolved, the handshake failed.
	NotSent = Outcome{Name: "not sent", Effect: retry.None, Again: true, Node: breaker.Failure}
	// Rejected was held back on our side: breaker open, bulkhead full.
	Rejected = Outcome{Name: "rejected", Effect: retry.None, Again: true, Node: breaker.Ignored}
	// Refused was turned away by the server before it did anything: overload.
	Refused = Outcome{Name: "refused", Effect: retry.None, Again: true, Node: breaker.Ignored}
	// Ambiguous may have been carried out: timeout, reset, EOF, 5xx, unknown.
	Ambiguous = Outcome{Name: "ambiguous", Effect: retry.Possible, Again: true, Node: breaker.Failure}
	// InProgress was answered: the server is still at work on an earlier
	// attempt with the call's key.
	InProgress = Outcome{Name: "in progress", Effect: retry.Possible, Again: true, Node: breaker.Success, Pending: true}
	// Failed was answered with an error that another attempt would get too.
	Failed = Outcome{Name: "failed", Effect: retry.Answered, Node: breaker.Success}
	// Abandoned was given up by the caller.
	Abandoned = Outcome{Name: "abandoned", Effect: retry.Possible, Node: breaker.Ignored}
)

// String returns the name, or "unnamed".
func (o Outcome) String() string {
	if o.Name == "" {
		return "unnamed"
	}
	return o.Name
}

// Mark states the evidence that an op has about its attempt: the error it
// returns, marked, is judged by it and by nothing else. It returns nil for a
// nil err. Of several marks the outermost counts; of joined errors all must be
// evidence; marks inside the [*Error] of
// another client's call say nothing about this one.
func Mark(err error, as Outcome) error {
	if err == nil {
		return nil
	}
	return &markedError{err, as}
}

type markedError struct {
	err error
	as  Outcome
}

func (e *markedError) Error() string { return e.err.Error() }
func (e *markedError) Unwrap() error { return e.err }

// Classify is the default judgement of an op's error. The evidence it knows:
// marks, dial and name resolution errors, TLS handshake errors,
// backoff.Permanent (which stops the retries), the attempt's timeout and the
// caller's context. All else is [Ambiguous].
func Classify(ctx context.Context, err error) Outcome {
	if err == nil {
		return Succeeded
	}
	o, from := evidence(err)
	switch {
	case from == nothing && ctx.Err() != nil:
		o = Abandoned
	case from == nothing:
		o = Ambiguous
	case from == inferred && ctx.Err() != nil: // the caller left while it was dialling: no fault of the node's
		o = Abandoned
		o.Effect = retry.None
	}
	if o.Again && find(err, isPermanent) {
		o.Again = false
	}
	return o
}

func isPermanent(err error) bool {
	_, ok := err.(*backoff.PermanentError) //nolint:errorlint // find walks the tree
	return ok
}

// What evidence an error is.
const (
	nothing  = iota
	inferred // from its type
	stated   // by Mark
)

// evidence looks for what is certain, from the outside in. Of several errors
// that are joined, one without evidence makes the whole uncertain: "connection
// lost; reconnect: refused" may have been carried out before it was lost. Nor
// does it look into another call's *Error: what that call came to says nothing
// about this attempt, which may have done more.
func evidence(err error) (o Outcome, from int) {
	for ; err != nil; err = errors.Unwrap(err) {
		switch e := err.(type) { //nolint:errorlint // this is the walk
		case *Error:
			return Outcome{}, nothing
		case *markedError:
			return e.as, stated
		case *net.OpError:
			if e.Op == "dial" || e.Op == "socks connect" {
				return notSent(e), inferred
			}
		case *net.DNSError, *tls.CertificateVerificationError,
			x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError:
			return NotSent, inferred
		case tls.RecordHeaderError:
			if e.Conn != nil { // the first record; later ones have none, and come after the request
				return NotSent, inferred
			}
		case interface{ Unwrap() []error }:
			return allEvidence(e.Unwrap())
		}
	}
	return Outcome{}, nothing
}

// allEvidence is that of joined errors: the most careful, if all have some.
func allEvidence(errs []error) (o Outcome, from int) {
	for i, err := range errs {
		other, f := evidence(err)
		if f == nothing {
			return Outcome{}, nothing
		}
		if i == 0 || (other.Effect == retry.Possible && o.Effect != retry.Possible) {
			o = other
		}
		from = max(from, f)
	}
	return o, from
}

// notSent is a dial that failed. Where we have run out of files or ports
// ourselves, the node has no part in it.
func notSent(err error) Outcome {
	o := NotSent
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS} {
		if errors.Is(err, own) {
			o.Node = breaker.Ignored
		}
	}
	return o
}

// find walks the tree of err, depth first, and stops at the first error that
// satisfies is. It does not look into another call's *Error: what that call
// came to is no evidence about this attempt, which may have done more.
func find(err error, is func(error) bool) bool {
	for err != nil {
		if _, nested := err.(*Error); nested { //nolint:errorlint // this is the walk
			return false
		}
		if is(err) {
			return true
		}
		switch u := err.(type) { //nolint:errorlint // this is the walk
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				if find(e, is) {
					return true
				}
			}
			return false
		default:
			err = errors.Unwrap(err)
		}
	}
	return false
}

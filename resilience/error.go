package resilience

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/retry"
)

// Error is a call that did not succeed: why it was not tried again, and what
// every attempt came to.
type Error struct {
	Service  string
	Method   string
	Key      string       // the call's idempotency key, if any
	Why      retry.Reason // why there was no further attempt
	Attempts []Attempt    // in order; empty when none was made
	Err      error        // the last attempt's error, joined with the context's or hook's if that ended the call
}

// Ambiguous reports whether the call may have been carried out in spite of
// the error: whether any attempt may have been, whatever came after it but an
// answer that settles the matter (see [Outcome]).
func (e *Error) Ambiguous() bool {
	for _, a := range slices.Backward(e.Attempts) {
		switch {
		case a.Outcome.Effect == retry.Possible:
			return true
		case a.Outcome.Settles:
			return false
		}
	}
	return false
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(e.Service + " " + e.Method))
	if b.Len() == 0 {
		b.WriteString("call")
	}
	if e.Ambiguous() {
		b.WriteString(": may have been carried out")
	}
	fmt.Fprintf(&b, ": %v", e.Why)
	if n := len(e.Attempts); n > 0 {
		fmt.Fprintf(&b, " after %d attempt", n)
		if n > 1 {
			b.WriteByte('s')
		}
		b.WriteString(" (")
		for i, a := range e.Attempts {
			if i > 0 {
				b.WriteString(", ")
			}
			if a.Node != nil && a.Node.ID != "" {
				b.WriteString(a.Node.ID + " ")
			}
			b.WriteString(a.Outcome.String())
		}
		b.WriteByte(')')
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// IsAmbiguous reports whether err is a call that may have been carried out in
// spite of it. It is false for nil and for an answer. Of several calls' errors
// that are joined, one is enough.
func IsAmbiguous(err error) bool {
	switch e := err.(type) { //nolint:errorlint // this is the walk
	case nil:
		return false
	case *Error:
		return e.Ambiguous()
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), IsAmbiguous)
	}
	return IsAmbiguous(errors.Unwrap(err))
}

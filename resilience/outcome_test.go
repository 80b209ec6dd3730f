package resilience_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// TestRows: the named rows say what DESIGN's table says.
func TestRows(t *testing.T) {
	t.Parallel()
	rows := []resilience.Outcome{
		{Name: "succeeded", Effect: retry.Answered, Again: false, Node: breaker.Success},
		{Name: "not sent", Effect: retry.None, Again: true, Node: breaker.Failure},
		{Name: "rejected", Effect: retry.None, Again: true, Node: breaker.Ignored},
		{Name: "refused", Effect: retry.None, Again: true, Node: breaker.Ignored},
		{Name: "ambiguous", Effect: retry.Possible, Again: true, Node: breaker.Failure},
		{Name: "failed", Effect: retry.Answered, Again: false, Node: breaker.Success},
		{Name: "abandoned", Effect: retry.Possible, Again: false, Node: breaker.Ignored},
	}
	got := []resilience.Outcome{
		resilience.Succeeded, resilience.NotSent, resilience.Rejected, resilience.Refused,
		resilience.Ambiguous, resilience.Failed, resilience.Abandoned,
	}
	for i, want := range rows {
		if got[i] != want {
			t.Errorf("%+v, want %+v", got[i], want)
		}
		if got[i].String() != want.Name {
			t.Errorf("%v prints as %q", want.Name, got[i].String())
		}
	}
}

// timeoutErr is a net.Error, which proves nothing.
type timeoutErr struct{ error }

func (timeoutErr) Timeout() bool   { return true }
func (timeoutErr) Temporary() bool { return true }

func TestClassify(t *testing.T) {
	t.Parallel()
	final := func(o resilience.Outcome) resilience.Outcome { o.Again = false; return o }
	nested := &resilience.Error{
		Why: retry.Exhausted, Err: resilience.Mark(errOp, resilience.NotSent),
		Attempts: []resilience.Attempt{{Outcome: resilience.NotSent}},
	}
	conn, other := net.Pipe()
	t.Cleanup(func() { _, _ = conn.Close(), other.Close() })
	ours := resilience.NotSent
	ours.Node = breaker.Ignored
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	tests := []struct {
		name string
		err  error
		want resilience.Outcome
	}{
		{"nothing", nil, resilience.Succeeded},
		{"unknown", errOp, resilience.Ambiguous},
		{"EOF", io.ErrUnexpectedEOF, resilience.Ambiguous},
		{"dial", dial, resilience.NotSent},
		{"dial, wrapped", fmt.Errorf("get: %w", dial), resilience.NotSent},
		{"dial through a proxy", &net.OpError{Op: "socks connect", Err: errOp}, resilience.NotSent},
		{"dial that timed out", &net.OpError{Op: "dial", Err: timeoutErr{errOp}}, resilience.NotSent},
		{"read", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, resilience.Ambiguous},
		{"write", &net.OpError{Op: "write", Err: errors.New("broken pipe")}, resilience.Ambiguous},
		{"DNS", &net.DNSError{Err: "no such host", Name: "x"}, resilience.NotSent},
		{"TLS record, the first", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake", Conn: conn}, resilience.NotSent},
		{"TLS record, after the handshake", tls.RecordHeaderError{Msg: "unknown record"}, resilience.Ambiguous},
		{"dial, out of ports", &net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}, ours},
		{"dial, out of files", &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, ours},
		{"lost, and not found again", fmt.Errorf("%w; reconnect: %w", io.ErrUnexpectedEOF, dial), resilience.Ambiguous},
		{"two dials", errors.Join(dial, dial), resilience.NotSent},
		{"TLS certificate", &tls.CertificateVerificationError{Err: errOp}, resilience.NotSent},
		{"unknown authority", x509.UnknownAuthorityError{}, resilience.NotSent},
		{"a timeout of its own", timeoutErr{errOp}, resilience.Ambiguous},
		{"deadline of somebody's", os.ErrDeadlineExceeded, resilience.Ambiguous},
		{"cancelled by somebody else", context.Canceled, resilience.Ambiguous},
		{"attempt timeout", &resilience.TimeoutError{After: ms, Err: context.Canceled}, resilience.Ambiguous},

		{"marked", resilience.Mark(errOp, resilience.Failed), resilience.Failed},
		{"marked, wrapped", fmt.Errorf("x: %w", resilience.Mark(errOp, resilience.Refused)), resilience.Refused},
		{"marked, joined with the unknown", errors.Join(errOp, resilience.Mark(errOp, resilience.Refused)), resilience.Ambiguous},
		{"joined, marked", resilience.Mark(errors.Join(errOp, dial), resilience.Refused), resilience.Refused},
		{"marked, joined with evidence", errors.Join(resilience.Mark(errOp, resilience.Refused), dial), resilience.Refused},
		{"marked twice: the outer", resilience.Mark(resilience.Mark(errOp, resilience.NotSent), resilience.Failed), resilience.Failed},
		{"marked against the evidence", resilience.Mark(dial, resilience.Ambiguous), resilience.Ambiguous},
		{"marked, and cut", &resilience.TimeoutError{After: ms, Err: resilience.Mark(errOp, resilience.NotSent)}, resilience.NotSent},

		{"permanent", backoff.Permanent(errOp), final(resilience.Ambiguous)},
		{"permanent dial error", backoff.Permanent(dial), final(resilience.NotSent)},
		{"permanent, marked", resilience.Mark(backoff.Permanent(errOp), resilience.Refused), final(resilience.Refused)},

		{"another call's error", nested, resilience.Ambiguous},
		{"another call's error, wrapped", fmt.Errorf("x: %w", nested), resilience.Ambiguous},
		{"another call's error, joined with evidence", errors.Join(nested, dial), resilience.Ambiguous},
		{"another call's error, marked", resilience.Mark(nested, resilience.Failed), resilience.Failed},
		{"permanent inside another call's error", &resilience.Error{Err: backoff.Permanent(errOp)}, resilience.Ambiguous},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := resilience.Classify(context.Background(), tt.err); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			// With the caller gone, what is certain of the effect stays certain,
			// and the node is not to blame.
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			want := tt.want
			if !isMarked(tt.name) && tt.err != nil {
				want = resilience.Abandoned
				want.Effect = tt.want.Effect
			}
			if got := resilience.Classify(ctx, tt.err); got != want {
				t.Errorf("caller gone: %+v, want %+v", got, want)
			}
		})
	}
}

func isMarked(name string) bool {
	return strings.Contains(name, "marked") && name != "marked, joined with the unknown"
}

func TestMark(t *testing.T) {
	t.Parallel()
	if err := resilience.Mark(nil, resilience.NotSent); err != nil {
		t.Errorf("Mark(nil) = %v", err)
	}
	marked := resilience.Mark(fmt.Errorf("x: %w", errOp), resilience.NotSent)
	if !errors.Is(marked, errOp) || marked.Error() != "x: "+errOp.Error() {
		t.Errorf("%v hides the error that it marks", marked)
	}
}

func TestUnnamedOutcome(t *testing.T) {
	t.Parallel()
	if s := (resilience.Outcome{}).String(); s != "unnamed" {
		t.Errorf("%q", s)
	}
}

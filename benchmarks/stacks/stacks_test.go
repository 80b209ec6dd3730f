package stacks

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	merrors "go-micro.dev/v5/errors"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/resilience"
)

// refusing returns an address at which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// What each stack says in the journal of a node that refuses: it was tried
// more than once, and nothing was sent. Holdfast says that the POST was not
// carried out, go-micro does not tell.
func TestRefusedIsNotSent(t *testing.T) {
	for _, stack := range []harness.Stack{Holdfast{}, GoMicro{}, GoMicroHoldfast{}} {
		t.Run(stack.Name(), func(t *testing.T) {
			var wrote bytes.Buffer
			journal := harness.NewJournal(&wrote, nil)
			client, err := stack.Dial(harness.ClientConfig{
				Nodes:   []harness.Node{{ID: "a", Addr: refusing(t)}, {ID: "b", Addr: refusing(t)}},
				Timeout: time.Minute, Journal: journal,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			if _, err = client.Do(t.Context(), harness.Post, "1"); err == nil || client.Ambiguous(err) {
				t.Errorf("%v, ambiguous %v; want an error that is not", err, client.Ambiguous(err))
			}
			if err := journal.Flush(); err != nil {
				t.Fatal(err)
			}
			entries, bad, err := harness.ParseJournal(&wrote)
			if err != nil || bad > 0 {
				t.Fatal(bad, err)
			}
			attempts, retries := 0, 0
			for _, e := range entries {
				switch e.Kind {
				case harness.TriedNode:
					attempts++
					if e.Attempt != attempts || e.Route != harness.Post || e.ID != "1" || e.Node != "a" && e.Node != "b" {
						t.Errorf("attempt %d: %+v", attempts, e)
					}
				case harness.Retried:
					retries++
				default:
					continue
				}
				if !e.NotSent {
					t.Errorf("sent: %+v", e)
				}
			}
			if attempts < 2 || retries != attempts-1 {
				t.Errorf("%d attempts, %d retries", attempts, retries)
			}
		})
	}
}

func TestNotDialed(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{merrors.InternalServerError("go.micro.client", "connection error: dial tcp: refused"), true},
		{merrors.InternalServerError("go.micro.client", "error sending request"), false},
		{merrors.InternalServerError("hello", "connection error: of its own"), false},
		{errors.New("connection error: plain"), false},
		{nil, false},
	} {
		if got := notDialed(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// An answer that is no success carries what the call's facts said.
func TestAmbiguous(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&answerError{errors.New("502"), true}, true},
		{&answerError{errors.New("503"), false}, false},
		{resilience.Mark(errors.New("refused"), resilience.NotSent), false},
		{errors.New("other"), false},
	} {
		if got := new(holdfastClient).Ambiguous(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// A connection's age counts from the beginning of its dial.
func TestBornDialer(t *testing.T) {
	var began time.Time
	d := bornDialer{func(context.Context, string, string) (net.Conn, error) {
		began = time.Now()
		conn, other := net.Pipe()
		other.Close()
		return conn, nil
	}}
	conn, err := d.dial(t.Context(), "tcp", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if born := conn.(*bornConn).born; born.IsZero() || born.After(began) {
		t.Errorf("born %v, dialed at %v", born, began)
	}
	d.next = func(context.Context, string, string) (net.Conn, error) { return nil, http.ErrServerClosed }
	if conn, err := d.dial(t.Context(), "tcp", "x"); conn != nil || !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("%v, %v", conn, err)
	}
}

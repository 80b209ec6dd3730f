package httpwrap_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestBodyEndsTheAttempt: read to its end or closed, whichever comes first.
func TestBodyEndsTheAttempt(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 100_000)) })
	tr := http1.newTransport(t, config{}, n.addr())
	for _, read := range []bool{true, false} {
		resp, err := tr.RoundTrip(request(t, "GET", http1.url("/"), ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := statusOf(t, tr, n.addr()).InFlight; got != 1 {
			t.Errorf("%d in flight, want 1", got)
		}
		if read {
			_, _ = io.Copy(io.Discard, resp.Body)
		} else {
			resp.Body.Close()
		}
		if got := statusOf(t, tr, n.addr()).InFlight; got != 0 {
			t.Errorf("read %v: %d in flight, want 0", read, got)
		}
		resp.Body.Close()
		if got := statusOf(t, tr, n.addr()).InFlight; got != 0 {
			t.Errorf("closed once more: %d in flight", got)
		}
	}
}

// TestUpgrade: a connection that is handed over can be written to.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	})
	tr := http1.newTransport(t, config{}, n.addr())
	req := request(t, "GET", http1.url("/"), "")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w, ok := resp.Body.(io.Writer)
	if !ok {
		t.Fatal("the body cannot be written to")
	}
	if _, err := io.WriteString(w, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "hello\n" || err != nil {
		t.Errorf("echo %q, %v", b, err)
	}
	if f := httpwrap.Result(resp, nil); f.Attempts != 1 {
		t.Errorf("%+v", f)
	}
}

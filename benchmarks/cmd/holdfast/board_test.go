package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/board"
	"github.com/holdfast-go/holdfast/selector"
)

// The command serves what other processes' boards show, with the token that
// they ask for, until it is interrupted.
func TestBoard(t *testing.T) {
	const token = "open sesame"
	t.Setenv("HOLDFAST_BOARD_TOKEN", token)
	b, err := board.New(board.Config{Read: board.BearerToken("ann", token)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := resilience.New(resilience.Config{Service: "users", Nodes: selector.Addrs("10.0.0.1:1", "10.0.0.2:1"), Observer: b})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // it cannot fail
	server := httptest.NewServer(b)
	defer server.Close()
	defer b.Close() //nolint:errcheck // it cannot fail

	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r, w := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"board", "-from", strings.TrimPrefix(server.URL, "http://")}, cli.Streams{Err: w})
		_ = w.Close()
	}()
	lines := bufio.NewScanner(r)
	if !lines.Scan() {
		t.Fatal("it says nothing")
	}
	url, ok := strings.CutPrefix(lines.Text(), "board: ")
	if !ok {
		t.Fatal(lines.Text())
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"state.stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	events.Buffer(nil, 1<<20)
	for events.Scan() {
		data, ok := strings.CutPrefix(events.Text(), "data: {")
		if !ok {
			continue
		}
		var st board.State
		if err := json.Unmarshal([]byte("{"+data), &st); err != nil {
			t.Fatal(err)
		}
		if len(st.Services) == 1 {
			if st.Services[0].Process == "" || len(st.Services[0].Nodes) != 2 {
				t.Errorf("%+v", st)
			}
			break
		}
	}
	cancel(cli.ErrInterrupted)
	if code := <-exit; code != cli.Interrupted {
		t.Errorf("exit code %d", code)
	}
}

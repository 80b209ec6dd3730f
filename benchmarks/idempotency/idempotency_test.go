package idempotency_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/idempotency"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/realserver"
)

// TestMain is also the servers' main.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == idempotency.ServerCommand {
		fmt.Fprintln(os.Stderr, idempotency.Serve(os.Args[2], os.Stdin))
		os.Exit(1)
	}
	leaktest.Main(m)
}

// TestProof is a short run of each mode. The long one is the command's.
func TestProof(t *testing.T) {
	t.Parallel()
	for _, mode := range idempotency.Modes {
		t.Run(string(mode), func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			requests := 1500
			if testing.Short() {
				requests = 300
			}
			report, err := idempotency.Run(t.Context(), idempotency.Config{Mode: mode, Requests: requests, Clients: 16, Kills: 1, Exe: exe})
			if errors.Is(err, realserver.ErrMissing) && os.Getenv("CI") != "true" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", *report)
			for _, broken := range report.Judge() {
				t.Error(broken)
			}
		})
	}
}

// TestJudge: each promise that is broken, and each test that was none, is told.
func TestJudge(t *testing.T) {
	t.Parallel()
	good := func(mode idempotency.Mode) *idempotency.Report {
		return &idempotency.Report{
			Mode: mode, Requests: 100, Acknowledged: 100, Repeated: 1, Replayed: 1, Frozen: 1, Restarts: 1, Open: 3,
			Hits: map[idempotency.Point]int{idempotency.Before: 1, idempotency.Between: 1, idempotency.After: 1, idempotency.Drop: 1},
		}
	}
	for _, mode := range idempotency.Modes {
		if broken := good(mode).Judge(); len(broken) > 0 {
			t.Errorf("%s: %q", mode, broken)
		}
		for what, spoil := range map[string]func(r *idempotency.Report){
			"1 lost":                func(r *idempotency.Report) { r.Lost = 1 },
			"1 duplicated":          func(r *idempotency.Report) { r.Duplicated = 1 },
			"0 failed of 100":       func(r *idempotency.Report) { r.Acknowledged = 99 },
			"4 failed":              func(r *idempotency.Report) { r.Acknowledged, r.Failed, r.InDoubt = 96, 4, 3 },
			"no attempt":            func(r *idempotency.Report) { r.Repeated = 0 },
			"no server was frozen":  func(r *idempotency.Report) { r.Frozen = 0 },
			`at the point "after"`:  func(r *idempotency.Report) { r.Hits[idempotency.After] = 0 },
			`at the point "before"`: func(r *idempotency.Report) { r.Hits[idempotency.Before] = 0 },
			`at the point "drop"`:   func(r *idempotency.Report) { r.Hits[idempotency.Drop] = 0 },
		} {
			r := good(mode)
			spoil(r)
			if broken := strings.Join(r.Judge(), "; "); !strings.Contains(broken, what) {
				t.Errorf("%s: %q, want %q", mode, broken, what)
			}
		}
	}
	for what, spoil := range map[string]func(r *idempotency.Report){
		"no answer was replayed": func(r *idempotency.Report) { r.Replayed = 0 },
		"store was not":          func(r *idempotency.Report) { r.Restarts = 0 },
		"3 failed":               func(r *idempotency.Report) { r.Acknowledged, r.Failed, r.InDoubt = 97, 3, 3 },
	} {
		r := good(idempotency.SQL)
		spoil(r)
		if broken := strings.Join(r.Judge(), "; "); !strings.Contains(broken, what) {
			t.Errorf("%q, want %q", broken, what)
		}
	}
}

// TestConfig: all that is wrong, at once.
func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := idempotency.Run(t.Context(), idempotency.Config{Mode: "x"})
	for _, part := range []string{`mode "x"`, "requests 0", "clients 0", "kills 0"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %s", err, part)
		}
	}
}

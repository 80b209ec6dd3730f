package tune

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	recorded "github.com/holdfast-go/holdfast/resilience/trace"
)

func command(t testing.TB, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// file writes a file of the test's own.
func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// traceFile writes a made trace.
func traceFile(t testing.TB, m made) string {
	t.Helper()
	var b bytes.Buffer
	w := recorded.NewWriter(&b)
	s := m.set(7)
	for _, a := range s.Attempts {
		err := w.Write(recorded.Record{
			Start: time.Unix(0, a.Start), Latency: time.Duration(a.Latency), Client: s.Clients[a.Client], Node: s.Nodes[a.Node], Method: s.Methods[a.Method],
			Outcome: s.Outcomes[a.Outcome], Result: a.Result, Attempt: int(a.Attempt), Calls: int(a.Calls),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return file(t, "trace.ndjson", b.String())
}

func TestCommandFromTrace(t *testing.T) {
	path := traceFile(t, made{clients: 3, nodes: 4, rate: 20, span: 100 * time.Second, fail: .005})
	code, out, errs := command(t, path, "-seeds", "0", "-json", "-settings", file(t, "s.yaml", "ejection: {falseAlarm: 1e4}\nattemptTimeout: 250ms\n"))
	var r Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != cli.Pass || errs != "" {
		t.Fatal(code, err, errs)
	}
	if r.SchemaVersion != 1 || r.Facts.Clients != 3 || r.Present.Settings.Ejection.FalseAlarm != 1e4 || r.Check != nil || r.Promise.False > 1 || len(r.Unknown) < 3 {
		t.Errorf("%s", out)
	}
	code, out, _ = command(t, path, "-emit", "yaml", "-formula")
	if code != cli.Pass || !strings.HasPrefix(out, "attemptTimeout: ") || !strings.Contains(out, "falseAlarm:") {
		t.Errorf("%d %s", code, out)
	}
	code, out, _ = command(t, path, "-emit", "go", "-formula")
	if code != cli.Pass || !strings.HasPrefix(out, "resilience.Settings{\n") {
		t.Errorf("%d %s", code, out)
	}
	code, out, _ = command(t, path, "-seeds", "0")
	for _, want := range []string{"A node that fails 30 %", "Why:", "What is normal:", "If something is otherwise", "What this cannot tell", "e^h, with the least h"} {
		if code != cli.Pass || !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestCommandRefuses(t *testing.T) {
	little := traceFile(t, made{clients: 1, nodes: 3, rate: 5, span: 10 * time.Second})
	if code, out, errs := command(t, little); code != cli.Failed || out != "" || !strings.Contains(errs, "no recommendation: too little data") || !strings.Contains(errs, "times the traffic") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	for _, row := range []struct {
		args []string
		why  string
	}{
		{nil, "nothing to go by"},
		{[]string{little, "-system", "x"}, "want one of them"},
		{[]string{little, "-json", "-emit", "go"}, "want one of them"},
		{[]string{little, "-emit", "xml"}, "want go or yaml"},
		{[]string{little, "-broken", "30"}, "0.02 to 1"},
		{[]string{little, "-per", "fortnight"}, "or day, week"},
		{[]string{little, "-settings", file(t, "s.yaml", "ejection: {falseAlert: 1}")}, "falseAlert"},
		{[]string{little, "-settings", file(t, "s.yaml", "attempts: -1")}, "attempts -1"},
		{[]string{"-system", file(t, "x.yaml", "nodes: -1")}, "nodes"},
		{[]string{"no such file"}, "no such file"},
	} {
		code, out, errs := command(t, row.args...)
		if code != cli.Usage || out != "" || !strings.Contains(errs, row.why) {
			t.Errorf("%v: %d %q %q, want %q", row.args, code, out, errs, row.why)
		}
	}
	if code, out, _ := command(t, "-h"); code != cli.Pass || !strings.HasPrefix(out, "Usage: holdfast tune") {
		t.Error(code, out)
	}
}

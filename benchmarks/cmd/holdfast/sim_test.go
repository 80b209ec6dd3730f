package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/sim"
)

func TestSimBadUsage(t *testing.T) {
	for args, want := range map[string][]string{
		"sim":                                  {"FILE", "-scenario", "sim -h"},
		"sim -scenario crash x.yaml":           {"FILE, or -scenario"},
		"sim -scenario crushed":                {"-scenario", "crash, refused"},
		"sim a.yaml b.yaml":                    {`"b.yaml"`},
		"sim /no/such/file":                    {"/no/such/file"},
		"sim -scenario crash -seeds 0":         {"-seeds", "1 to 10000"},
		"sim -scenario crash -seed -1":         {"-seed"},
		"sim -scenario crash -clients glue":    {"-clients", `"glue"`, "gobreaker"},
		"sim -scenario crash -quick=maybe":     {"-quick", "true or false"},
		"sim -validate /no/such/dir":           {"/no/such/dir"},
		"sim -scenario crash -html /no/such/x": {"/no/such/x"},
	} {
		code, _, stderr := try(t, strings.Fields(args)...)
		if code != cli.Usage || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q; want %d and one line", args, code, stderr, cli.Usage)
		}
		for _, w := range want {
			if !strings.Contains(stderr, w) {
				t.Errorf("%q: %q does not say %q", args, stderr, w)
			}
		}
	}
}

func TestSimHelp(t *testing.T) {
	code, stdout, stderr := try(t, "sim", "-h")
	if code != cli.Pass || stderr != "" || strings.Contains(stdout, "CLIENTS") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	// The example is a system.
	_, example, _ := strings.Cut(stdout, "for example\n")
	example, _, _ = strings.Cut(example, "and every field")
	s, err := sim.Read(strings.NewReader(strings.ReplaceAll(example, "\n  ", "\n")))
	if err != nil || s.Clients != 1000 || len(s.Faults) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

const smallSystem = "name: small\nwarm: 1s\nfault: 2s\nrecover: 1s\nfaults: [{at: 1s, for: 1s, do: kill, nodes: [4]}]\n"

// A file, as text, as one JSON document, as a page and as a picture; twice the
// same, to the byte.
func TestSim(t *testing.T) {
	dir := t.TempDir()
	file, page, svg := filepath.Join(dir, "small.yaml"), filepath.Join(dir, "p.html"), filepath.Join(dir, "p.svg")
	if err := os.WriteFile(file, []byte(smallSystem), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"sim", file, "-clients", "holdfast,gobreaker", "-seeds", "3", "-html", page, "-svg", svg}
	code, text, stderr := try(t, args...)
	if code != cli.Pass || stderr != "" {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	for _, want := range []string{"small: 2 clients, 5 nodes", "median of 3", "timeToEjectMs", "gobreaker, seed 1", "hello-5", "▼ faults"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if _, again, _ := try(t, args...); again != text {
		t.Error("the same seeds, another text")
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"small, simulated", "gobreaker: median of 3 valid runs", "do: kill", "<svg"} {
		if !bytes.Contains(html, []byte(want)) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"<script", "http:", "https:"} {
		if bytes.Contains(html, []byte(never)) {
			t.Errorf("the page has %q", never)
		}
	}
	picture, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	for dec := xml.NewDecoder(bytes.NewReader(picture)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture: %v", err)
		}
	}
	code, out, stderr := try(t, append(args, "-json")...)
	var doc struct {
		SchemaVersion int
		System        map[string]any
		Runs          []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != cli.Pass || stderr != "" {
		t.Fatalf("%v, exit code %d, %q", err, code, stderr)
	}
	if doc.SchemaVersion != 1 || len(doc.Runs) != 6 || doc.System["nodes"] != 5.0 {
		t.Errorf("schema %d, %d runs, %v", doc.SchemaVersion, len(doc.Runs), doc.System)
	}
	for _, key := range []string{"client", "seed", "requests", "failed", "duplicated", "amplification", "p99Ms", "timeToEjectMs", "falseEjections", "timeToReadmitMs", "timesToEjectMs", "baseline", "course"} {
		if _, ok := doc.Runs[0][key]; !ok {
			t.Errorf("a run lacks %q", key)
		}
	}
	if _, again, _ := try(t, append(args, "-json")...); again != out {
		t.Error("the same seeds, another document")
	}
}

// From standard input; a document that is wrong is told in one line.
func TestSimStdin(t *testing.T) {
	for text, want := range map[string]int{smallSystem: cli.Pass, "nodes: -1\nrate: -1": cli.Usage} {
		var out, err bytes.Buffer
		code := run(t.Context(), []string{"sim", "-"}, cli.Streams{In: strings.NewReader(text), Out: &out, Err: &err})
		if code != want || code == cli.Usage && strings.Count(err.String(), "\n") != 1 {
			t.Errorf("%q: exit code %d, want %d: %s", text, code, want, err.String())
		}
	}
}

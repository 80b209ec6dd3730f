package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

func someReport() *harness.Report {
	eject := 42.4
	stack := func(name string, failed int) *harness.StackReport {
		s := &harness.StackReport{
			Name: name, Requests: 600, Failed: failed, FailedPosts: failed, FailedPostsAmbiguous: failed, InFlightPosts: 3,
			Victim: "hello-2", AttemptsSeen: map[string]int{"hello-1": 5, "hello-2": 7},
			Load: harness.LoadReport{LagP99Ms: 1.5, Valid: true},
			Timeline: harness.Timeline{
				BucketMs: 250, Failed: []int{0, 0, 3, 0}, DownMs: 500, BackMs: 800,
				Attempts: map[string][]int{"hello-1": {1, 2, 4, 8}, "hello-2": {8, 8, 0, 1}},
			},
		}
		for _, route := range harness.Routes {
			for _, phase := range harness.Phases {
				s.Routes = append(s.Routes, harness.RouteReport{Route: route.String(), Phase: phase, Requests: 100, P50Ms: 1, P99Ms: 22.22, MaxMs: 333})
			}
		}
		return s
	}
	r := &harness.Report{
		SchemaVersion: 1, Seed: 7, Fault: harness.Kill, Nodes: 2, Rate: 200, DurationMs: 3000, WorkMs: 10,
		Stacks: []*harness.StackReport{stack("holdfast", 2), stack("go-micro", 99)},
	}
	r.Stacks[0].TimeToEjectMs = &eject
	return r
}

// The keys of the document are a promise; more may be added.
func TestJSON(t *testing.T) {
	var out bytes.Buffer
	r := someReport()
	r.Judge("none of them")
	if err := writeJSON(&out, r); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if dec.More() {
		t.Error("more than one document")
	}
	has := func(what string, object map[string]any, keys ...string) {
		for _, k := range keys {
			if _, ok := object[k]; !ok {
				t.Errorf("%s has no %q, only %q", what, k, slices.Sorted(maps.Keys(object)))
			}
		}
	}
	has("the document", doc, "schemaVersion", "seed", "stacks")
	stack := doc["stacks"].([]any)[0].(map[string]any)
	has("a stack", stack, "name", "requests", "failed", "duplicated", "ghosts", "inFlightAtFault", "attemptsOnDeadNode",
		"retriedNotSent", "timeToEjectMs", "timeToReadmitMs", "routes")
	has("a route", stack["routes"].([]any)[0].(map[string]any), "route", "phase", "requests", "failed", "p50Ms", "p99Ms", "maxMs")
	if list, ok := doc["violations"].([]any); !ok || len(list) != 0 {
		t.Errorf("violations of a run that passed: %#v, want []", doc["violations"])
	}
	if stack["timeToReadmitMs"] != nil || stack["timeToEjectMs"] != 42.4 || doc["schemaVersion"] != 1.0 {
		t.Errorf("values: %v", doc)
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	r := someReport()
	if err := writeText(&out, r); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"failed     ··█· 3\n",
		"hello-1    ▁▂▄█ 15\n",
		"hello-2    ██·▁ 17\n",
		"GET /user/test down", "POST /user/register back", " 22.2", "42 ms", "never",
		"PASS: holdfast: no failed GET, no effect carried out twice, 2 failed POSTs of 3 that were in flight on hello-2, reported ambiguous\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "GET") || strings.HasPrefix(line, "POST") {
			if n := len(line); n != routeColumn+stackColumn+40 {
				t.Errorf("%d wide: %q", n, line)
			}
		}
	}
	r.Violations = []string{"holdfast: nothing works"}
	out.Reset()
	if err := writeText(&out, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "FAILED: holdfast") || strings.Contains(out.String(), "PASS") {
		t.Errorf("a run that failed:\n%s", out.String())
	}
}

func TestMarks(t *testing.T) {
	got := marks(harness.Timeline{BucketMs: 250, Failed: make([]int, 40), DownMs: 1000, BackMs: 6000}, "x")
	if want := "    ▼ x down            ▲ back"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got = marks(harness.Timeline{BucketMs: 250, Failed: make([]int, 12), DownMs: 1000, BackMs: 2000}, "hello-12")
	if want := "    ▼ he▲ back"; got != want {
		t.Errorf("close together: got %q, want %q", got, want)
	}
}

func TestBars(t *testing.T) {
	if got, want := bars([]int{0, 1, 50, 99, 100}, 100), "·▁▄██"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := bars([]int{0, 1}, 1), "·█"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// With many instances the victim is shown.
func TestRows(t *testing.T) {
	attempts := map[string][]int{}
	for i := range 12 {
		attempts[fmt.Sprintf("hello-%d", i+1)] = nil
	}
	nodes, others := rows(attempts, "hello-12")
	if got := strings.Join(nodes, " "); got != "hello-1 hello-2 hello-3 hello-4 hello-12" || others != 7 {
		t.Errorf("%s and %d more", got, others)
	}
}

// What happens is a line of its own, with how the run stands.
func TestLive(t *testing.T) {
	var out bytes.Buffer
	l := newLive(&out)
	l.show(harness.Progress{Stack: "s", Elapsed: -1, Notice: "starting"})
	l.show(harness.Progress{Stack: "s", Phase: harness.Down, Elapsed: 12 * time.Second, Duration: 15 * time.Second, Sent: 7, Notice: "hello-2: killed"})
	l.close()
	want := "s                  starting\ns                    down    12.0s/15s      7 sent  0 failed  hello-2: killed\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

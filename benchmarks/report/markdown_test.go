package report

import (
	"strings"
	"testing"
)

// Tables of medians with bounds, and how holdfast stands: within 1.25 × of the
// bound, and first, level or behind by the runs' intervals.
func TestMarkdown(t *testing.T) {
	m := &made{Summary{
		Seeds: []uint64{1, 2, 3}, Scenarios: []Scenario{{Name: "crash"}, {Name: "hang"}, {Name: "sparse"}, {Name: "storm"}},
		Stacks:      []Stack{{Name: "holdfast"}, {Name: "bare"}, {Name: "other"}},
		Environment: Environment{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26", Command: []string{"/tmp/x/holdfast", "bench", "run", "-out", "matrix"}},
		TookMs:      90_000,
	}}
	m.add("crash", "holdfast", 4, 5, 6) // the bound is 4: just within
	m.add("crash", "bare", 30, 31, 32)
	m.add("crash", "other", 1, 4, 5)   // better, but the intervals overlap
	m.add("hang", "holdfast", 6, 7, 8) // beyond the bound
	m.add("hang", "bare", 0, 5, 5)     // better beyond the intervals
	m.add("hang", "other", 7, 7, 7)
	m.add("sparse", "holdfast", 4)
	m.add("sparse", "bare", 1) // one run is no interval
	for i := range m.Runs {
		if r := &m.Runs[i]; r.Scenario == "hang" && r.Stack == "bare" {
			r.Metrics.Duplicated = 2
		}
		if r := &m.Runs[i]; r.Scenario == "crash" && r.Stack == "bare" {
			r.Metrics.P99Ms = 20 // quick to fail
		}
	}
	m.addInvalid("storm", "holdfast")
	var b strings.Builder
	if err := WriteMarkdown(&b, &m.Summary, "matrix"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"4 scenarios with 3 stacks and 3 seeds: full pace. On linux/amd64 with 2 CPUs (kernel –, go1.26)", "it took 2 minutes",
		"\nholdfast bench run -out matrix\n",
		"1 of 21 runs are invalid, since the machine could not keep up with them, and have no figures: storm/holdfast 1.",
		"Of 36 runs 15 have not been made",
		"## Failed requests, of 1000 to 1000 a run\n\n| | holdfast | bare | other |\n|---|--:|--:|--:|\n" +
			"| crash | 5 (4) | 31 | 4 |\n| hang | 7 (4) | 5 | 7 |\n| sparse | 4 (4) | 1 | – |\n| storm | – | – | – |\n",
		"| crash | 50 | 20 | 40 |",
		"### holdfast\n\n2 of 3 figures with a bound are within 1.25 × of it; first or level in 6 of 9 comparisons.\n",
		"| crash | yes | level | first | behind |\n| hang | 0 of 1 | behind | first | behind |\n| sparse | yes | level | first | level |\n| storm | – | – | – | – |\n",
		"- `crash`: p99Ms 50 is behind bare 20 (with 31 failed)\n- `hang`: failed 7, the bound is 4 (1.75 ×); failed 7 is behind bare 5 (with 2 duplicated); p99Ms 70 is behind bare 50\n- `storm`: no valid run\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "777") || strings.Contains(text, "other 4") || strings.Contains(text, "holdfast-keyed") {
		t.Errorf("figures of an invalid run, a miss that is none, or a stack that was not run:\n%s", text)
	}
}

func TestBrief(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.04: "0", 0.5: "0.5", 3.44: "3.4", 16.5: "16.5", 23.25: "23", 678.4: "678", 12345.6: "12346"} {
		if got := brief(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}

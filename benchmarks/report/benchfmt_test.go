package report

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"
)

// The parser of benchstat reads what is written.
func TestBenchfmt(t *testing.T) {
	s := &new(made).add("crash", "holdfast", 0, 3).add("crash", "bare", 9).addInvalid("crash", "bare").Summary
	s.Environment = Environment{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26.8", Commit: "abc"}
	late := 123.456
	s.Runs[2].Metrics.TimeToEjectMs = &late
	var b bytes.Buffer
	if err := WriteBenchfmt(&b, s); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "777") {
		t.Errorf("figures of a run that is not valid:\n%s", b.String())
	}
	got := map[string][]float64{}
	r := benchfmt.NewReader(&b, "test")
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.Result:
			name := string(rec.Name.Full())
			for _, v := range rec.Values {
				got[name+" "+v.Unit] = append(got[name+" "+v.Unit], v.Value)
			}
			for key, want := range map[string]string{"goos": "linux", "cpus": "2", "commit": "abc"} {
				if have := rec.GetConfig(key); have != want {
					t.Errorf("%s is %q, want %q", key, have, want)
				}
			}
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	const name = "Failure/scenario=crash/stack="
	for key, want := range map[string][]float64{
		name + "holdfast failed":        {0, 3},
		name + "holdfast p99-sec":       {0, 0.03},
		name + "bare failed":            {9},
		name + "bare timeToEject-sec":   {0.123456},
		name + "holdfast requests":      {1000, 1000},
		name + "holdfast amplification": {0, 0},
	} {
		if len(got[key]) != len(want) {
			t.Errorf("%s: %v, want %v", key, got[key], want)
			continue
		}
		for i := range want {
			if !near(got[key][i], want[i]) {
				t.Errorf("%s: %v, want %v", key, got[key], want)
			}
		}
	}
	units := r.Units()
	if better := units.GetBetter("p99-sec"); better != -1 {
		t.Errorf("p99-sec: better %d, want lower", better)
	}
	if better := units.GetBetter("falseEjections"); better != -1 {
		t.Errorf("falseEjections: better %d, want lower", better)
	}
}

package ejection

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The exact interval is χ²(0.975, 2k+2) / 2.
func TestPoissonUpper(t *testing.T) {
	for k, want := range map[int]float64{0: 3.6889, 1: 5.5716, 2: 7.2247, 5: 11.6683, 10: 18.3904, 100: 121.6275} {
		if got := poissonUpper(k); math.Abs(got/want-1) > .01 {
			t.Errorf("%d events: %.4f, want %.4f within 1 %%", k, got, want)
		}
	}
}

// poissonMost is the smallest k with P(X ≤ k) ≥ 1 − 0.025/12.
func TestPoissonMost(t *testing.T) {
	for _, mean := range []float64{.001, .05, .25, 1, 4, 30, 200} {
		k := poissonMost(mean)
		below := func(k int) (p float64) {
			for i := range k + 1 {
				g, _ := math.Lgamma(float64(i + 1))
				p += math.Exp(float64(i)*math.Log(mean) - mean - g)
			}
			return p
		}
		const level = 1 - .025/12
		if below(k) < level || k > 0 && below(k-1) >= level {
			t.Errorf("mean %g: %d, at or below which is %.5f, and below %.5f; want the first at %.5f", mean, k, below(k), below(k-1), level)
		}
	}
}

func TestQuantile(t *testing.T) {
	inf := math.Inf(1)
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		x       []float64
		q, want float64
	}{
		{[]float64{7}, .5, 7},
		{[]float64{7}, .99, 7},
		{[]float64{7}, 0, 7},
		{[]float64{3, 1, 2}, .5, 2},
		{[]float64{4, 1, 3, 2}, .5, 2},
		{[]float64{inf, 1, 2}, .99, inf},
		{hundred, .5, 50},
		{hundred, .99, 99},
		{hundred, 1, 100},
	} {
		if got := quantile(slices.Clone(c.x), c.q); got != c.want {
			t.Errorf("%g of %v: %g, want %g", c.q, c.x, got, c.want)
		}
	}
}

// Each kind of row can fail, and passes at its bound.
func TestMissed(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name   string
		report Report
		want   string // "": passes
	}{
		{"nothing", Report{}, ""},
		{"at the slack", Report{Detections: []Detection{{Name: "d", P50: 10, P99: 20, Want50: 8, Want99: 16}}}, ""},
		{"median late", Report{Detections: []Detection{{Name: "d", P50: 11, P99: 20, Want50: 8, Want99: 16}}}, "d: 11/20 calls"},
		{"tail late", Report{Detections: []Detection{{Name: "d", P50: 10, P99: 21, Want50: 8, Want99: 16}}}, "d: 10/21 calls"},
		{"never ejected", Report{Detections: []Detection{{Name: "d", P50: 10, P99: inf, Want50: 8, Want99: 16}}}, "d: 10/∞ calls"},
		{"no figure in the design", Report{Detections: []Detection{{Name: "d", P50: 1000, P99: inf}}}, ""},

		// Of 5 million attempts: mean 0.5, which chance takes to 3.
		{"per million, by chance", Report{Falses: []False{{Name: "f", Attempts: 5e6, Ejections: 3, Want: .1}}}, ""},
		{"per million", Report{Falses: []False{{Name: "f", Attempts: 5e6, Ejections: 4, Want: .1}}}, "f: 4 ejections, want at most 3"},
		// 0.0 in the design may be 0.05: mean 0.05.
		{"per million, rounded", Report{Falses: []False{{Name: "f", Attempts: 1e6, Ejections: 1}}}, ""},
		{"per million, none", Report{Falses: []False{{Name: "f", Attempts: 1e6, Ejections: 2}}}, "f: 2 ejections, want at most 1"},
		// 0.4 % of 1000 runs: mean 4, which chance takes to 11. Ejections of
		// one run are one.
		{"runs, by chance", Report{Falses: []False{{Name: "f", Runs: 1000, RunsWithAny: .011, Ejections: 99, Attempts: 1, CountsByRuns: true, WantRuns: .004}}}, ""},
		{"runs", Report{Falses: []False{{Name: "f", Runs: 1000, RunsWithAny: .012, Ejections: 12, Attempts: 1e9, CountsByRuns: true, WantRuns: .004}}}, "f: 12 runs with ejections, want at most 11"},
		// 400 runs are 1600 bursts: mean 0.1.
		{"bursts, by chance", Report{Falses: []False{{Name: "f", Runs: 400, Ejections: 2, Attempts: 1, PerBurst: true}}}, ""},
		{"bursts", Report{Falses: []False{{Name: "f", Runs: 400, Ejections: 3, Attempts: 1e9, PerBurst: true}}}, "f: 3 ejections, want at most 2"},
	} {
		missed := c.report.Missed()
		if c.want == "" && len(missed) > 0 || c.want != "" && (len(missed) != 1 || !strings.HasPrefix(missed[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, missed, c.want)
		}
	}
}

// encode is a report as JSON and as text.
func encode(t *testing.T, o Options) (jsonText, text []byte) {
	t.Helper()
	report, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	if jsonText, err = json.Marshal(report); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := report.Print(&b); err != nil {
		t.Fatal(err)
	}
	return jsonText, b.Bytes()
}

// The same seeds give the same bytes, however many run at a time; others give
// others.
func TestSameSeedSameReport(t *testing.T) {
	rows := "crash"
	if testing.Short() {
		rows = "crash, N=2"
	}
	o := Options{Seeds: 2, Seed: 1, Workers: 2, Rows: regexp.MustCompile(rows)}
	json1, text1 := encode(t, o)
	o.Workers = 1
	json2, text2 := encode(t, o)
	if !bytes.Equal(json1, json2) || !bytes.Equal(text1, text2) {
		t.Errorf("twice the same seeds:\n%s\n%s\n%s\n%s", json1, json2, text1, text2)
	}
	o.Seed = 1000
	if json3, _ := encode(t, o); bytes.Equal(bytes.ReplaceAll(json3, []byte(`"seed":1000`), []byte(`"seed":1`)), json1) {
		t.Errorf("other seeds, the same figures: %s", json3)
	}
}

// The keys of the document are a promise; more may be added.
func TestJSON(t *testing.T) {
	report := Report{
		SchemaVersion: 1, Seeds: 2, Seed: 3,
		Detections: []Detection{{Name: "d", P50: 4, P99: math.Inf(1), MsP50: 5, MsP99: math.Inf(1), Missed: .5, Want50: 6, Want99: 7}},
		Falses:     []False{{Name: "f", Attempts: 8}},
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	has := func(what string, object map[string]any, keys ...string) {
		for _, k := range keys {
			if _, ok := object[k]; !ok {
				t.Errorf("%s has no %q, only %q", what, k, slices.Sorted(maps.Keys(object)))
			}
		}
	}
	has("the document", doc, "schemaVersion", "seeds", "seed", "detections", "falseEjections")
	d := doc["detections"].([]any)[0].(map[string]any)
	has("a detection", d, "name", "nodes", "ill", "callsP50", "callsP99", "msP50", "msP99", "missed", "falseEjections",
		"failed", "designP50", "designP99")
	f := doc["falseEjections"].([]any)[0].(map[string]any)
	has("a false ejection", f, "name", "attempts", "ejections", "perMillion", "upper", "runs", "runsWithAny", "runsUpper",
		"want", "wantRuns", "perBurst", "countsByRuns")
	if d["callsP50"] != 4.0 || d["callsP99"] != nil || d["msP99"] != nil || d["missed"] != .5 || f["attempts"] != 8.0 {
		t.Errorf("values: %s", text)
	}
}

// Tables without rows are empty, not null.
func TestJSONOfNoRows(t *testing.T) {
	text, _ := encode(t, Options{Seeds: 1, Seed: 1, Workers: 1, Rows: regexp.MustCompile("^crash, N=2$")})
	if !bytes.Contains(text, []byte(`"falseEjections":[]`)) {
		t.Errorf("%s", text)
	}
}

func TestNoRowMatches(t *testing.T) {
	if report, err := Run(Options{Seeds: 1, Rows: regexp.MustCompile("^zzz$")}); err == nil || !strings.Contains(err.Error(), `"^zzz$"`) {
		t.Errorf("%+v, %v", report, err)
	}
}

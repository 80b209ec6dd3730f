package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

func TestCompare(t *testing.T) {
	old := new(made).
		add("crash", "holdfast", 10, 11, 12, 13, 14).
		add("crash", "bare", 5, 5, 5, 5, 5).
		add("hang", "holdfast", 1, 2, 3, 4).
		add("hang", "bare", 0, 2, 3, 4, 5).
		add("gone", "bare", 1).
		addInvalid("crash", "bare")
	fresh := new(made).
		add("crash", "holdfast", 5, 6, 7, 8, 9).
		add("crash", "bare", 5, 6, 7, 8, 9).
		add("hang", "holdfast", 100, 200, 300, 400).
		add("hang", "bare", 7, 8, 9, 10, 11).
		add("here", "bare", 1)
	fresh.Environment.CPUs = 64
	c, err := Compare(&old.Summary, &fresh.Summary)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		who     string
		verdict Verdict
		ratio   [3]float64 // value, low, high; 0: none
	}{
		{"crash/holdfast", Better, [3]float64{7.0 / 12, 5.0 / 14, 9.0 / 10}},
		{"crash/bare", NoneYet, [3]float64{1.4, 1, 1.8}},
		{"hang/holdfast", TooFew, [3]float64{100, 25, 400}},
		{"hang/bare", Worse, [3]float64{}},
	} {
		i := 0
		for i < len(c.Rows) && (c.Rows[i].Scenario+"/"+c.Rows[i].Stack != want.who || c.Rows[i].Metric != "failed") {
			i++
		}
		r := c.Rows[i]
		if r.Verdict != want.verdict || (r.Ratio == nil) != (want.ratio[0] == 0) {
			t.Errorf("%s: %+v, want %v", want.who, r, want)
		}
		if r.Ratio != nil && (!near(r.Ratio.Value, want.ratio[0]) || !near(r.Ratio.Low, want.ratio[1]) || !near(r.Ratio.High, want.ratio[2])) {
			t.Errorf("%s: ratio %+v, want %v", want.who, *r.Ratio, want.ratio)
		}
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{"gone/bare: only in the old", "here/bare: only in the new", "1 of 6 old runs", "the processors differs: 0, then 64"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in the notes:\n%s", want, notes)
		}
	}
	for _, r := range c.Rows {
		if r.Metric == "requests" || strings.HasPrefix(r.Metric, "timeTo") {
			t.Errorf("a row for %s", r.Metric)
		}
	}
	var text bytes.Buffer
	if err := c.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"crash/holdfast", "0.5833 [0.3571, 0.9]", "too few runs", "no difference shown", "better", "worse", "note: "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if data, err := json.Marshal(c); err != nil || !bytes.Contains(data, []byte(`"ratio":null`)) {
		t.Errorf("%s, %v", data, err)
	}
	for text, want := range map[string]string{
		"crash/holdfast: failed<=1.4*old":  "",
		"failed<=2*old":                    "failed<=2*old: hang/holdfast/1: failed is 100, old is 2.5",
		"crash: worse==0":                  "",
		"worse==0":                         "worse==0: hang/bare: worse is 2", // p99 too
		"crash/holdfast: better >= 2":      "",
		"here: failed<=old":                "here: failed<=old: no run matches",
		"hang/bare: median(failed)<=3*old": "",
	} {
		got := c.Check(mustParse(t, true, text))
		if len(got) == 0 != (want == "") || len(got) > 0 && got[0] != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// Figures of different loads are not compared.
func TestCompareRefuses(t *testing.T) {
	old, fresh := new(made).add("crash", "bare", 1), new(made).add("crash", "bare", 1)
	old.Scenarios = []Scenario{{Name: "crash", Plan: harness.Plan{Warm: time.Second}}}
	fresh.Scenarios = []Scenario{{Name: "crash", Plan: harness.Plan{Warm: 2 * time.Second}}}
	if _, err := Compare(&old.Summary, &fresh.Summary); err == nil || !strings.Contains(err.Error(), "crash is not the same") {
		t.Errorf("another plan: %v", err)
	}
	if _, err := Compare(&new(made).add("a", "x", 1).Summary, &new(made).add("b", "x", 1).Summary); err == nil {
		t.Error("nothing in common: no error")
	}
}

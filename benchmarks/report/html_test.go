package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// fixture is what `bench run -scenario crash -stack holdfast,bare,go-micro -quick -seeds 2` wrote.
func fixture(t *testing.T) *Results {
	t.Helper()
	r, err := Read("testdata/crash")
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Summary; len(s.Runs) != 6 || len(r.Courses) != 6 || len(r.Histograms) != 12 || len(r.Events) == 0 || !s.Runs[0].Valid {
		t.Fatalf("%d runs, %d courses, %d histograms, %d events", len(s.Runs), len(r.Courses), len(r.Histograms), len(r.Events))
	}
	return r
}

func render(t *testing.T, r *Results) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The report holds all that is needed to run it again, and refers to nothing
// outside.
func TestHTML(t *testing.T) {
	r := fixture(t)
	r.Summary.Missing = []Missing{{"nginx", "not on the PATH"}}
	text := render(t, r)
	for _, want := range []string{
		"nginx: not on the PATH",
		"bench run -scenario crash -stack holdfast,bare,go-micro -quick -seeds 2", r.Summary.Environment.Go, r.Summary.Environment.Kernel, "SIGKILL to hello-5",
		`<th scope="row">crash / go-micro</th>`, "prefers-color-scheme: dark", `name="viewport"`, "50.0 % of 2 runs", "hello-5: kill", "&#34;faultNs&#34;: 2800000000",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, s := range r.Summary.Stacks {
		if first, _, _ := strings.Cut(s.Config, "\n"); first == "" || !strings.Contains(text, first[:min(20, len(first))]) {
			t.Errorf("no configuration of %s: %q", s.Name, first)
		}
	}
	if found := regexp.MustCompile(`(?i)\s(src|srcset|data|action|poster|background)=|<(script|link|iframe|object|embed|img|base)|url\(|@import|href="[^#]`).FindString(text); found != "" {
		t.Errorf("refers to something outside: %q", found)
	}
	for _, id := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, `id="`+id[1]+`"`) {
			t.Errorf("a link to #%s, which is not there", id[1])
		}
	}
}

// A run that is not valid is shown, and enters nothing.
func TestHTMLInvalid(t *testing.T) {
	r := fixture(t)
	for i := range r.Summary.Runs {
		if run := &r.Summary.Runs[i]; run.Stack == "bare" || run.Stack == "go-micro" && run.Seed == 2 {
			run.Valid, run.Load.Invalid, run.Metrics.Failed, run.Metrics.P99Ms = false, "its load was <late>", 424242, 424242
		}
	}
	text := render(t, r)
	for _, want := range []string{"its load was &lt;late&gt;", "3 that are not", `class="invalid"><strong>invalid`, "1 (1 not valid)", "go-micro: one valid run"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, bad := range []string{"424242", "<late>", "bare: median", "bare: one"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is there", bad)
		}
	}
}

// Names come from users' own programs.
func TestHTMLHostile(t *testing.T) {
	r := fixture(t)
	const evil = `</title><script>alert(1)</script>"'`
	for i := range r.Summary.Stacks {
		r.Summary.Stacks[i].Name += evil
		r.Summary.Stacks[i].Config += evil
	}
	for i := range r.Summary.Runs {
		r.Summary.Runs[i].Stack += evil
	}
	for i := range r.Courses {
		r.Courses[i].Stack += evil
	}
	if text := render(t, r); strings.Contains(text, "<script") {
		t.Error("a script")
	} else if strings.Count(text, "<svg class=\"chart time\"") != 3 {
		t.Error("no timelines")
	}
}

// Without courses and histograms there are tables.
func TestHTMLSummaryOnly(t *testing.T) {
	r := fixture(t)
	text := render(t, &Results{Summary: r.Summary})
	if !strings.Contains(text, "no valid run of which a course") || strings.Contains(text, "<svg class=\"chart") {
		t.Error("charts of nothing")
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		value, bound float64
		level, words string
	}{
		{0, 0, atBound, "at the bound"},
		{1, 0, far, "1 above"},
		{2, 0, farthest, "2 above"},
		{0, 4, atBound, "0 ×"},
		{5, 4, atBound, "1.25 ×"},
		{8, 4, nearIt, "2 ×"},
		{20, 4, far, "5 ×"},
		{21, 4, farthest, "5.25 ×"},
	} {
		if level, words := distance(c.value, c.bound, 1000); level != c.level || words != c.words {
			t.Errorf("%v of %v: %s, %q; want %s, %q", c.value, c.bound, level, words, c.level, c.words)
		}
	}
}

package promwrap

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// documented are the metrics that the package's documentation names, with their
// labels.
func documented(t testing.TB) map[string][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string][]string)
	for line := range strings.Lines(file.Doc.Text()) {
		columns := regexp.MustCompile(`\s{2,}`).Split(strings.TrimSpace(line), 3)
		if len(columns) == 3 && strings.HasPrefix(columns[0], "holdfast_") {
			list[columns[0]] = strings.Fields(columns[1])
		}
	}
	return list
}

// described are those that the collector tells of.
func described(t testing.TB) map[string][]string {
	t.Helper()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ch := make(chan *prometheus.Desc, 100)
	c.Describe(ch)
	close(ch)
	form := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	list := make(map[string][]string)
	for d := range ch {
		m := form.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("cannot read %s", d)
		}
		list[m[1]] = strings.Split(m[2], ",")
	}
	return list
}

// TestDocumented: the documentation names exactly the metrics and labels there
// are.
func TestDocumented(t *testing.T) {
	doc, have := documented(t), described(t)
	for name, labels := range have {
		if !slices.Equal(doc[name], labels) {
			t.Errorf("%s has the labels %q, documented %q", name, labels, doc[name])
		}
	}
	for name := range doc {
		if have[name] == nil {
			t.Errorf("%s is documented and not there", name)
		}
	}
}

// TestDashboard: the dashboard uses all metrics that there are and no other,
// each with labels that it has.
func TestDashboard(t *testing.T) {
	raw, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	have, used := described(t), make(map[string]bool)
	ids := make(map[int]bool)
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: want an id of its own, a title and targets", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			for _, problem := range check(target.Expr, target.LegendFormat, have, used) {
				t.Errorf("%s: %s: %s", p.Title, target.Expr, problem)
			}
		}
	}
	for _, v := range board.Templating.List {
		if strings.Contains(v.Query, "holdfast") {
			m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Query)
			if m == nil || !slices.Contains(have[m[1]], m[2]) {
				t.Errorf("variable %s: %s", v.Name, v.Query)
			}
		}
	}
	for name := range have {
		if !used[name] {
			t.Errorf("%s is on no panel", name)
		}
	}
}

var (
	metricName = regexp.MustCompile(`holdfast_\w+`)
	grouping   = regexp.MustCompile(`by \(([^)]*)\)`)
	matcher    = regexp.MustCompile(`(\w+)=~?"`)
	legendName = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// check returns what is wrong with an expression and its legend, and notes the
// metrics that it uses.
func check(expr, legend string, have map[string][]string, used map[string]bool) (problems []string) {
	if strings.Count(expr, "(") != strings.Count(expr, ")") {
		problems = append(problems, "unbalanced")
	}
	var labels []string
	for _, name := range metricName.FindAllString(expr, -1) {
		base := name
		if have[base] == nil {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, part)
			}
			labels = append(labels, "le")
		}
		if have[base] == nil {
			problems = append(problems, "there is no "+name)
		}
		if rated := regexp.MustCompile(`(rate|increase)\(` + name); strings.HasSuffix(name, "_total") != rated.MatchString(expr) && base == name {
			problems = append(problems, name+": want the rate of counters, and of nothing else")
		}
		used[base] = true
		labels = append(labels, have[base]...)
	}
	var names, groups []string
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		groups = append(groups, strings.Split(m[1], ", ")...)
	}
	names = append(names, groups...)
	for _, m := range matcher.FindAllStringSubmatch(expr, -1) {
		names = append(names, m[1])
	}
	for _, name := range names {
		if !slices.Contains(labels, name) {
			problems = append(problems, "no label "+name)
		}
	}
	for _, m := range legendName.FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(groups, m[1]) {
			problems = append(problems, "the legend has "+m[1]+", which is not grouped by")
		}
	}
	return problems
}

// TestCheckFinds: the check of the dashboard finds what it is for.
func TestCheckFinds(t *testing.T) {
	have := map[string][]string{"holdfast_a_total": {"service"}, "holdfast_g": {"service"}}
	for expr, want := range map[string]string{
		`sum by (service) (rate(holdfast_a_total{service=~"x"}[1m]))`: "",
		`sum by (service) (rate(holdfast_b_total[1m]))`:               "there is no holdfast_b_total",
		`sum by (node) (rate(holdfast_a_total[1m]))`:                  "no label node",
		`rate(holdfast_a_total{node="x"}[1m])`:                        "no label node",
		`holdfast_a_total`:                                            "holdfast_a_total: want the rate",
		`rate(holdfast_g[1m])`:                                        "holdfast_g: want the rate",
		`rate(holdfast_a_total[1m]`:                                   "unbalanced",
	} {
		got := strings.Join(check(expr, "", have, make(map[string]bool)), "; ")
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
	if got := check(`holdfast_g`, "{{service}}", have, make(map[string]bool)); len(got) != 1 {
		t.Errorf("legend: %q", got)
	}
}

package report

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Assertion is a condition on every valid run that it is about:
//
//	failed==0
//	holdfast: p99<=2*baseline
//	crash/holdfast: median(p99)<=1.25*bound
//
// Before the colon is a scenario, a stack or both, in which * stands for
// anything; without it, it is about all. The names are the metrics' with or
// without their unit; bound is that of the metric that is named first, and
// baseline what that was in the warm-up; median(…) is over the seeds. Times
// are in milliseconds, or say 50ms or 2s. In comparisons old is the median of
// the old runs, and worse and better count the metrics with that verdict.
type Assertion struct {
	text            string
	scenario, stack string // patterns; with either, one of them matches one of these
	either          bool
	left, right     expr
	op              string
	about           string
}

// maxAssertion bounds how deep an expression nests.
const maxAssertion = 1000

var comparisons = []string{"==", "!=", "<=", ">=", "<", ">"} // longer ones first

// ParseAssertion reads one. The words of comparisons are known if compare.
func ParseAssertion(text string, compare bool) (*Assertion, error) {
	a, err := parseAssertion(text, compare)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	return a, nil
}

func parseAssertion(text string, compare bool) (*Assertion, error) {
	if len(text) > maxAssertion {
		return nil, fmt.Errorf("%d characters: want at most %d", len(text), maxAssertion)
	}
	a := &Assertion{text: text, scenario: "*", stack: "*"}
	p := &parser{text: text, compare: compare}
	if colon := strings.IndexByte(text, ':'); colon >= 0 {
		if err := a.choose(strings.TrimSpace(text[:colon])); err != nil {
			return nil, err
		}
		p.at = colon + 1
	}
	var err error
	if a.left, err = p.sum(); err != nil {
		return nil, err
	}
	p.space()
	for _, op := range comparisons {
		if strings.HasPrefix(text[p.at:], op) {
			a.op = op
			break
		}
	}
	if a.op == "" {
		return nil, p.fail("want one of %s", strings.Join(comparisons, " "))
	}
	p.at += len(a.op)
	if a.right, err = p.sum(); err != nil {
		return nil, err
	}
	if p.next() != 0 {
		return nil, p.fail("%q is too much", text[p.at:])
	}
	return a, a.settle()
}

func (a *Assertion) choose(pattern string) error {
	scenario, stack, both := strings.Cut(pattern, "/")
	if !both {
		stack = scenario
	}
	for _, s := range []string{scenario, stack} {
		if _, err := path.Match(s, ""); err != nil || s == "" || strings.Contains(s, "/") {
			return fmt.Errorf("%q before the colon: want SCENARIO, STACK or SCENARIO/STACK", pattern)
		}
	}
	a.scenario, a.stack, a.either = scenario, stack, !both
	return nil
}

// settle finds what the assertion is about.
func (a *Assertion) settle() error {
	used := append(words(a.left), words(a.right)...)
	if len(used) == 0 {
		return errors.New("it names no metric")
	}
	for _, w := range used {
		if slices.Contains(harness.MetricKeys, string(w)) {
			a.about = string(w)
			break
		}
	}
	for _, w := range used {
		switch w {
		case wordBound, wordBaseline, wordOld:
			if a.about == "" {
				return fmt.Errorf("%s of what? It names no metric", w)
			}
		}
		if w == wordBaseline && !slices.Contains(harness.BaselineKeys, a.about) {
			return fmt.Errorf("%s has no baseline", short(a.about))
		}
	}
	return nil
}

// String is the text it was read from.
func (a *Assertion) String() string { return a.text }

func (a *Assertion) matches(scenario, stack string) bool {
	bySc, _ := path.Match(a.scenario, scenario)
	bySt, _ := path.Match(a.stack, stack)
	if a.either {
		return bySc || bySt
	}
	return bySc && bySt
}

// Check returns a line for each run with which an assertion does not hold, and
// for each assertion that is about no run: one that says nothing has failed.
// A run that is not valid is left out, and so is, where an assertion is about
// a bound, a run that has none.
func Check(assertions []*Assertion, s *Summary) (broken []string) {
	return check(assertions, s, nil)
}

// Check is [Check] of the new results.
func (c *Comparison) Check(assertions []*Assertion) (broken []string) {
	return check(assertions, c.fresh, c)
}

func check(assertions []*Assertion, s *Summary, c *Comparison) (broken []string) {
	groups := s.groups()
	for _, a := range assertions {
		held, invalid := 0, 0
		var lines []string
		for _, g := range groups {
			if !a.matches(g.Scenario, g.Stack) {
				continue
			}
			invalid += len(g.Invalid)
			n, l := a.group(g, c)
			held += n
			lines = append(lines, l...)
		}
		if held == 0 && len(lines) == 0 {
			lines = []string{a.nothing(invalid)}
		}
		for _, l := range lines {
			broken = append(broken, a.text+": "+l)
		}
	}
	return broken
}

func (a *Assertion) nothing(invalid int) string {
	text := "no run matches"
	for _, w := range append(words(a.left), words(a.right)...) {
		if w == wordBound {
			text += " that has a bound of " + short(a.about)
			break
		}
	}
	if invalid > 0 {
		text += fmt.Sprintf(" and is valid (%d are not)", invalid)
	}
	return text
}

// group checks the runs of one scenario with one stack.
func (a *Assertion) group(g *group, c *Comparison) (held int, lines []string) {
	runs, each := g.Valid, everyRun(a.left) || everyRun(a.right)
	if !each && len(runs) > 1 {
		runs = runs[:1]
	}
	for _, r := range runs {
		s := &scope{run: r, group: g, about: a.about, seen: map[string]float64{}}
		if c != nil {
			s.old = c.group(g.Scenario, g.Stack)
		}
		name := g.Scenario + "/" + g.Stack
		if each {
			name = fmt.Sprint(name, "/", r.Seed)
		}
		switch ok, err := a.holds(s); {
		case errors.Is(err, errNoBound) || errors.Is(err, errNotHere):
		case err != nil:
			lines = append(lines, name+": "+strings.ReplaceAll(err.Error(), "\n", "; "))
		case ok:
			held++
		default:
			lines = append(lines, name+": "+s.readings())
		}
	}
	return held, lines
}

func (a *Assertion) holds(s *scope) (bool, error) {
	x, errX := a.left.eval(s)
	y, errY := a.right.eval(s)
	if err := errors.Join(errX, errY); err != nil {
		return false, err
	}
	if math.IsNaN(x) || math.IsNaN(y) || math.IsInf(x, 0) || math.IsInf(y, 0) {
		return false, fmt.Errorf("no number: %s", s.readings())
	}
	switch a.op {
	case "==":
		return x == y, nil
	case "!=":
		return x != y, nil
	case "<=":
		return x <= y, nil
	case ">=":
		return x >= y, nil
	case "<":
		return x < y, nil
	}
	return x > y, nil
}

// readings are the values that were read.
func (s *scope) readings() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s.seen)) {
		list = append(list, name+" is "+number(s.seen[name]))
	}
	return strings.Join(list, ", ")
}

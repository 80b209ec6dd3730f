package report

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// The words of an assertion that are no metrics. All but the last two are of
// the metric that the assertion names first.
const (
	wordBound    = "bound"
	wordBaseline = "baseline"
	wordOld      = "old"
	wordWorse    = "worse"
	wordBetter   = "better"
	wordMedian   = "median"
)

// scope is what an expression is evaluated for.
type scope struct {
	run   *Run
	group *group
	about string // the metric that the assertion names first
	old   *comparedGroup
	seen  map[string]float64 // the values that were read
}

var (
	errNoBound = errors.New("no bound")
	errNotHere = errors.New("not in both folders")
)

// noValue is a metric that a run does not have.
type noValue string

func (e noValue) Error() string {
	return string(e) + ": there is none: it did not happen, or the stack does not tell"
}

type expr interface {
	eval(*scope) (float64, error)
	String() string
}

type (
	constant float64
	word     string // a metric's key, or one of the words
	negated  struct{ x expr }
	median1  struct{ x expr } // over the valid runs of a scenario with a stack
	binary   struct {
		op   byte
		a, b expr
	}
)

func (c constant) String() string { return strconv.FormatFloat(float64(c), 'g', -1, 64) }
func (w word) String() string     { return short(string(w)) }
func (n negated) String() string  { return "-" + n.x.String() }
func (m median1) String() string  { return wordMedian + "(" + m.x.String() + ")" }
func (b binary) String() string   { return "(" + b.a.String() + string(b.op) + b.b.String() + ")" }

// short is a metric's name without its unit.
func short(key string) string { return strings.TrimSuffix(key, "Ms") }

func (c constant) eval(*scope) (float64, error) { return float64(c), nil }

func (n negated) eval(s *scope) (float64, error) {
	x, err := n.x.eval(s)
	return -x, err
}

func (b binary) eval(s *scope) (float64, error) {
	x, errX := b.a.eval(s)
	y, errY := b.b.eval(s)
	if err := errors.Join(errX, errY); err != nil {
		return 0, err
	}
	switch b.op {
	case '+':
		return x + y, nil
	case '-':
		return x - y, nil
	case '*':
		return x * y, nil
	}
	return x / y, nil
}

func (m median1) eval(s *scope) (float64, error) {
	list := make([]float64, 0, len(s.group.Valid))
	for _, r := range s.group.Valid {
		each := *s
		each.run, each.seen = r, map[string]float64{}
		x, err := m.x.eval(&each)
		if err != nil {
			return 0, err
		}
		list = append(list, x)
	}
	slices.Sort(list)
	x := median(list)
	s.seen[m.String()] = x
	return x, nil
}

func (w word) eval(s *scope) (float64, error) {
	x, err := w.value(s)
	if err == nil {
		s.seen[w.String()] = x
	}
	return x, err
}

func (w word) value(s *scope) (float64, error) {
	switch w {
	case wordBound:
		if b, ok := s.run.Bounds[s.about]; ok {
			return b, nil
		}
		return 0, errNoBound
	case wordBaseline:
		if b, ok := s.run.Baseline[s.about]; ok {
			return b, nil
		}
		return 0, noValue(wordBaseline)
	case wordOld, wordWorse, wordBetter:
		if s.old == nil {
			return 0, errNotHere
		}
		return s.old.value(w, s.about)
	}
	if x, ok := s.run.Metrics.Value(string(w)); ok {
		return x, nil
	}
	return 0, noValue(w.String())
}

// words returns those that are used in x.
func words(x expr) []word {
	switch x := x.(type) {
	case word:
		return []word{x}
	case negated:
		return words(x.x)
	case median1:
		return words(x.x)
	case binary:
		return append(words(x.a), words(x.b)...)
	}
	return nil
}

// everyRun reports whether x differs between the runs of a group.
func everyRun(x expr) bool {
	switch x := x.(type) {
	case word:
		return x != wordOld && x != wordWorse && x != wordBetter
	case negated:
		return everyRun(x.x)
	case binary:
		return everyRun(x.a) || everyRun(x.b)
	}
	return false
}

// parser reads an expression: sums of products of numbers, words, median(…)
// and (…).
type parser struct {
	text    string
	at      int
	compare bool // the words of comparisons are known
	median  bool // within one: a median of medians would be that of one value, and slow
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("at %d: %s", p.at+1, fmt.Sprintf(format, args...))
}

func (p *parser) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// next returns the next byte that is no space, 0 at the end.
func (p *parser) next() byte {
	if p.space(); p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) sum() (expr, error) { return p.chain("+-", p.product) }

func (p *parser) product() (expr, error) { return p.chain("*/", p.factor) }

func (p *parser) chain(ops string, operand func() (expr, error)) (expr, error) {
	x, err := operand()
	for err == nil {
		op := p.next()
		if op == 0 || strings.IndexByte(ops, op) < 0 {
			return x, nil
		}
		p.at++
		var y expr
		y, err = operand()
		x = binary{op, x, y}
	}
	return nil, err
}

func (p *parser) factor() (expr, error) {
	switch c := p.next(); {
	case c == '-':
		p.at++
		x, err := p.factor()
		return negated{x}, err
	case c == '(':
		return p.inParentheses()
	case isDigit(c) || c == '.':
		return p.number()
	case isLetter(c):
		return p.word()
	case c == 0:
		return nil, p.fail("the expression ends, want a number or a name")
	default:
		return nil, p.fail("%q: want a number or a name", p.text[p.at:])
	}
}

func (p *parser) inParentheses() (expr, error) {
	p.at++
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.next() != ')' {
		return nil, p.fail("want )")
	}
	p.at++
	return x, nil
}

// number reads one, in milliseconds where it has a unit.
func (p *parser) number() (expr, error) {
	from := p.at
	for p.at < len(p.text) && (isDigit(p.text[p.at]) || p.text[p.at] == '.') {
		p.at++
	}
	x, err := strconv.ParseFloat(p.text[from:p.at], 64)
	if err != nil || math.IsInf(x, 0) {
		return nil, p.fail("%q is no number", p.text[from:p.at])
	}
	unit := p.at
	for p.at < len(p.text) && isLetter(p.text[p.at]) {
		p.at++
	}
	switch p.text[unit:p.at] {
	case "", "ms":
	case "s":
		x *= 1000
	default:
		return nil, p.fail("%q is no unit: want ms or s", p.text[unit:p.at])
	}
	return constant(x), nil
}

func (p *parser) word() (expr, error) {
	from := p.at
	for p.at < len(p.text) && (isLetter(p.text[p.at]) || isDigit(p.text[p.at])) {
		p.at++
	}
	switch name := p.text[from:p.at]; name {
	case wordMedian:
		switch {
		case p.median:
			return nil, p.fail("a median within a median")
		case p.next() != '(':
			return nil, p.fail("want ( after median")
		}
		p.median = true
		x, err := p.inParentheses()
		p.median = false
		return median1{x}, err
	case wordBound, wordBaseline:
		return word(name), nil
	case wordOld, wordWorse, wordBetter:
		if !p.compare {
			return nil, p.fail("%s is known to bench compare only", name)
		}
		return word(name), nil
	default:
		for _, key := range harness.MetricKeys {
			if name == key || name == short(key) {
				return word(key), nil
			}
		}
		return nil, p.fail("unknown name %q: want one of %s", name, strings.Join(p.known(), ", "))
	}
}

func (p *parser) known() (list []string) {
	for _, key := range harness.MetricKeys {
		list = append(list, short(key))
	}
	list = append(list, wordBound, wordBaseline, wordMedian)
	if p.compare {
		list = append(list, wordOld, wordWorse, wordBetter)
	}
	return list
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

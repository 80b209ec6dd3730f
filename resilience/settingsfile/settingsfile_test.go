package settingsfile

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const goodYAML = `# users
attempts: 4
attemptTimeout: 250ms
timeout: 1m30s
backoff: &quick
  initial: 5ms
budget:
  share: 0.1
ejection:
  falseAlarm: 1e7
  burst: -1ns
serviceBreaker:
  rule: rate
  threshold: 0.5
  window: 10s
  openFor: 2s # of the breaker, inline
  probes: 3
methods:
  get: {idempotency: safe, attemptTimeout: 50ms, backoff: *quick}
  "a b.c": {idempotency: non-idempotent}
`

const goodJSON = `{
	"attempts": 4, "attemptTimeout": "250ms", "timeout": "1m30s",
	"backoff": {"initial": "5ms"}, "budget": {"share": 0.1},
	"ejection": {"falseAlarm": 1e7, "burst": "-1ns"},
	"serviceBreaker": {"rule": "rate", "threshold": 0.5, "window": "10s", "openFor": "2s", "probes": 3},
	"methods": {
		"get": {"idempotency": "safe", "attemptTimeout": "50ms", "backoff": {"initial": "5ms"}},
		"a b.c": {"idempotency": "non-idempotent"}
	}
}`

func goodSettings() resilience.Settings {
	quick := resilience.BackoffSettings{Initial: 5 * time.Millisecond}
	return resilience.Settings{
		Attempts: 4, AttemptTimeout: 250 * time.Millisecond, Timeout: 90 * time.Second, Backoff: quick,
		Budget:   resilience.BudgetSettings{Share: .1},
		Ejection: resilience.EjectionSettings{FalseAlarm: 1e7, Burst: -1},
		ServiceBreaker: &resilience.RuleSettings{
			BreakerSettings: resilience.BreakerSettings{OpenFor: 2 * time.Second, Probes: 3},
			Rule:            "rate", Threshold: .5, Window: 10 * time.Second,
		},
		Methods: map[string]resilience.MethodSettings{
			"get":   {Idempotency: retry.Safe, AttemptTimeout: 50 * time.Millisecond, Backoff: quick},
			"a b.c": {Idempotency: retry.NonIdempotent},
		},
	}
}

// Both formats say the same, and what the settings' own tags write can be read.
func TestParse(t *testing.T) {
	marshalled, err := yaml.Marshal(goodSettings())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		want       resilience.Settings
	}{
		{"a.yaml", goodYAML, goodSettings()},
		{"a.json", goodJSON, goodSettings()},
		{"A.YML", string(marshalled), goodSettings()},
		{"json.yaml", strings.ReplaceAll(goodJSON, "\t", " "), goodSettings()},
		{"a.yaml", "{}", resilience.Settings{}},
		{"a.json", " {}\n", resilience.Settings{}},
		{"a.yaml", "attempts: 0x10\nbulkhead: 1_000\ntrustRefusals: true\nzone: '12'\nslowStart: null", resilience.Settings{Attempts: 16, Bulkhead: 1000, TrustRefusals: true, Zone: "12"}},
	} {
		got, err := Parse(tt.name, []byte(tt.text))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", tt.name, err, got, tt.want)
		}
	}
}

// What is nearly right is refused: all of it at once, each with file, line and
// field.
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // the lines of the error begin so
	}{
		{"f.yaml", "timeout: 1s\natempts: 3\n", []string{"f.yaml:2: atempts: unknown field; want one of attempts"}},
		{"f.yaml", "timeout: 1s\nattemptTimeout: 250\n", []string{"f.yaml:2: attemptTimeout 250: want a duration with its unit"}},
		{"f.yaml", "attemptTimeout: 250 apples", []string{`f.yaml:1: attemptTimeout "250 apples": want a duration`}},
		{"f.yaml", "ejection:\n  excess: 2\n  maxShare: -1\nattempts: 101\n", []string{
			"f.yaml:4: attempts 101: want 1 to 100", "f.yaml:2: ejection.excess 2: want above 0", "f.yaml:3: ejection.maxShare -1: want",
		}},
		{"f.yaml", "budget: {share: 11}\nstrategy: best\nbreaker: {openFor: 2s,\n  probes: -1}\nserviceBreaker:\n  rule: cusum\n  baseline: 2", []string{
			"f.yaml:1: budget.share 11", "f.yaml:2: strategy \"best\"", "f.yaml:4: breaker.probes -1", "f.yaml:7: serviceBreaker.baseline 2",
		}},
		{"f.yaml", "serviceBreaker:\n  rule: magic", []string{"f.yaml:2: serviceBreaker.rule \"magic\": want \"cusum\""}},
		{"f.yaml", "methods:\n  get:\n    timeout: 250\n  \"a b.c\":\n    attempts: -1\n    x: 1", []string{
			`f.yaml:3: methods["get"].timeout 250`, `f.yaml:6: methods["a b.c"].x: unknown field`, `f.yaml:5: methods["a b.c"].attempts -1`,
		}},
		{"f.yaml", "methods:\n  \"a b.c\":\n    attempts: -1", []string{`f.yaml:3: methods["a b.c"].attempts -1: want 1 to 100`}},
		{"f.yaml", "methods:\n  get: {idempotency: Safe}", []string{`f.yaml:2: methods["get"].idempotency`}},
		{"f.yaml", "backoff:\n  max: 1s\n  initial: 2s", []string{"f.yaml:3: backoff.initial 2s: want at most backoff.max, 1s"}},
		{"f.yaml", "attempts: 3\nattempts: 4\n", []string{"f.yaml:2: attempts: there twice"}},
		{"f.yaml", "attempts: [3]", []string{"f.yaml:1: attempts: want int, got array"}},
		{"f.yaml", "attempts: yes", []string{"f.yaml:1: attempts: want int, got string"}},
		{"f.yaml", "ejection:\n  excess: .inf", []string{"f.yaml:2: ejection.excess: .inf: want a finite number"}},
		{"f.yaml", "x: 2026-11-26", []string{"f.yaml:1: x: 2026-11-26: want a number, a text"}},
		{"f.yaml", "a: &a {b: *a}", []string{"f.yaml:1: "}},
		{"f.yaml", "? [1]\n: 2", []string{"f.yaml:1: want a name"}},
		{"f.yaml", "- 1", []string{"f.yaml:1: settings: want object, got array"}},
		{"f.yaml", "attempts: 3\n---\nattempts: 4", []string{"f.yaml:2: a second document"}},
		{"f.yaml", "a:\n b: 1\n  c: 2", []string{"f.yaml:3: not YAML: "}},
		{"f.yaml", "# nothing\n", []string{"f.yaml: the file is empty"}},
		{"f.yaml", " \n", []string{"f.yaml: the file is empty"}},
		{"f.yaml", "---\n", []string{"f.yaml: the file is empty"}},
		{"f.yaml", "--- # users\n...\n", []string{"f.yaml: the file is empty"}},
		{"f.json", " null\n", []string{"f.json: the file is empty"}},
		{"f.json", "{\n\"atempts\": 3,\n\n\"timeout\": 1}", []string{"f.json:2: atempts: unknown field", "f.json:4: timeout 1: want a duration"}},
		{"f.json", "{\n \"methods\": {\"get\": {\n\"attempts\": 999}}}", []string{`f.json:3: methods["get"].attempts 999`}},
		{"f.json", "{\n\"attempts\": 3\n", []string{"f.json:2: not JSON: unexpected end"}},
		{"f.json", "{\"zone\": \"x\",\n\"strategy\": \"\xff\"}", []string{"f.json:2: not UTF-8"}},
		{"f.json", "{\"attempts\": 3,\n\"attempts\": 3}", []string{"f.json:2: attempts: there twice"}},
		{"f.json", "[]", []string{"f.json:1: settings: want object"}},
		{"f.json", strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), []string{"f.json:1: a: unknown field"}},
		{"f.toml", "attempts = 3", []string{"f.toml: want a name that ends in .yaml"}},
	} {
		s, err := Parse(tt.name, []byte(tt.text))
		if err == nil {
			t.Errorf("%q is taken: %+v", tt.text, s)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		ok := len(lines) == len(tt.want) && reflect.DeepEqual(s, resilience.Settings{})
		for i := range lines {
			ok = ok && strings.HasPrefix(lines[i], tt.want[i])
		}
		if !ok {
			t.Errorf("%.200q:\ngot  %q\nwant %q", tt.text, lines, tt.want)
		}
	}
}

// The parts of a problem can be had one by one.
func TestProblemParts(t *testing.T) {
	_, err := Parse("f.yaml", []byte("timeout: 1s\nejection: {excess: 2}"))
	var p *Problem
	var field *resilience.FieldError
	if !errors.As(err, &p) || p.File != "f.yaml" || p.Line != 2 || p.Field != "ejection.excess" || !errors.As(err, &field) {
		t.Errorf("%+v", p)
	}
}

// Every field of the settings that can be out of range is found in the file
// under the name that the error has for it.
func TestEveryFieldHasItsLine(t *testing.T) {
	bad := resilience.Settings{
		Attempts: -1, Timeout: -1, Strategy: "x", Bulkhead: -1,
		Backoff:  resilience.BackoffSettings{Initial: 2, Max: 1, Multiplier: .5},
		Budget:   resilience.BudgetSettings{Share: 11, Window: -1},
		Ejection: resilience.EjectionSettings{FalseAlarm: 1, Excess: 2, Baseline: 2, MaxShare: 2},
		Breaker:  resilience.BreakerSettings{OpenFor: -1, OpenMax: -1, Spread: 2, Probes: -1, ProbeTimeout: -1},
		ServiceBreaker: &resilience.RuleSettings{
			BreakerSettings: resilience.BreakerSettings{OpenFor: -1}, Rule: "rate", Window: -1, MinCalls: -1, Threshold: 2, SlowCall: -1,
		},
		Methods: map[string]resilience.MethodSettings{"a.b": {Attempts: -1, Timeout: -1, Backoff: resilience.BackoffSettings{Multiplier: .5}}},
	}
	asYAML, err1 := yaml.Marshal(bad)
	asJSON, err2 := json.MarshalIndent(bad, "", "\t")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"f.yaml": string(asYAML), "f.json": string(asJSON)} {
		_, err := Parse(name, []byte(text))
		list, ok := err.(interface{ Unwrap() []error })
		if !ok || len(flat(err)) < 20 {
			t.Fatalf("%s: %v", name, list)
		}
		lines := strings.Split(text, "\n")
		for _, e := range flat(err) {
			p, ok := e.(*Problem) //nolint:errorlint // it is not wrapped
			if !ok || p.Line == 0 {
				t.Errorf("%s: %v", name, e)
				continue
			}
			last := p.Field[strings.LastIndexByte(p.Field, '.')+1:]
			if !strings.Contains(lines[p.Line-1], last) {
				t.Errorf("%v: the line is %q", e, lines[p.Line-1])
			}
		}
	}
}

// flat is the errors that are joined in err, however deep.
func flat(err error) []error {
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range list.Unwrap() {
		out = append(out, flat(e)...)
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add("f.yaml", goodYAML)
	f.Add("f.json", goodJSON)
	f.Add("f.yaml", "a: &a [*a, *a]\nb: [*a, *a]")
	f.Fuzz(func(t *testing.T, name, text string) {
		s, err := Parse(name, []byte(text))
		if err != nil {
			for _, e := range flat(err) {
				if p := (*Problem)(nil); !errors.As(e, &p) || p.File != name {
					t.Errorf("%T: %v", e, e)
				}
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("f.json", again); err != nil {
			t.Errorf("%v, of\n%s", err, again)
		}
	})
}

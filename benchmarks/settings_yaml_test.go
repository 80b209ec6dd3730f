package benchmarks_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// The root module does not depend on a YAML library; its tags are tested here.

const settingsYAML = `
attempts: 4
attemptTimeout: 250ms
timeout: 1m30s
backoff:
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
  openFor: 2s
  probes: 3
methods:
  get:
    idempotency: safe
    attemptTimeout: 50ms
  put:
    idempotency: idempotent
  pay:
    idempotency: keyed
  post:
    idempotency: non-idempotent
    attempts: 1
`

func settingsOfYAML() resilience.Settings {
	return resilience.Settings{
		Attempts: 4, AttemptTimeout: 250 * time.Millisecond, Timeout: 90 * time.Second,
		Backoff:  resilience.BackoffSettings{Initial: 5 * time.Millisecond},
		Budget:   resilience.BudgetSettings{Share: .1},
		Ejection: resilience.EjectionSettings{FalseAlarm: 1e7, Burst: -1},
		ServiceBreaker: &resilience.RuleSettings{
			BreakerSettings: resilience.BreakerSettings{OpenFor: 2 * time.Second, Probes: 3},
			Rule:            "rate", Threshold: .5, Window: 10 * time.Second,
		},
		Methods: map[string]resilience.MethodSettings{
			"get":  {Idempotency: retry.Safe, AttemptTimeout: 50 * time.Millisecond},
			"put":  {Idempotency: retry.Idempotent},
			"pay":  {Idempotency: retry.Keyed},
			"post": {Idempotency: retry.NonIdempotent, Attempts: 1},
		},
	}
}

// decodeYAML refuses unknown fields, as users should.
func decodeYAML(text string) (s resilience.Settings, err error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	err = dec.Decode(&s)
	return s, err
}

func TestSettingsYAML(t *testing.T) {
	got, err := decodeYAML(settingsYAML)
	if err != nil {
		t.Fatal(err)
	}
	if want := settingsOfYAML(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSettingsYAMLRoundTrip(t *testing.T) {
	for _, want := range []resilience.Settings{{}, settingsOfYAML()} {
		text, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeYAML(string(text))
		if err != nil {
			t.Fatalf("%v, of\n%s", err, text)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v, by\n%s", got, want, text)
		}
	}
	text, err := yaml.Marshal(settingsOfYAML())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"attemptTimeout: 250ms\n", "    openFor: 2s\n", "idempotency: non-idempotent\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	if strings.Contains(string(text), "zone") {
		t.Errorf("zero fields are not left out:\n%s", text)
	}
}

// What is nearly right is refused, and the error says where.
func TestSettingsYAMLRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"timeout: 1s\nattemptTimeout: 250":        "line 2",
		"methods:\n  get:\n    timeout: 250":      "line 3",
		"serviceBreaker: {openFor: 250}":          "time.Duration",
		"attemptTimeout: soon":                    "soon",
		"methods: {get: {idempotency: Safe}}":     `"Safe"`,
		"methods: {get: {idempotency: 1}}":        `"1"`,
		"atempts: 3":                              "atempts",
		"serviceBreaker: {breaker: {openFor: 1}}": "breaker", // it is inline
	} {
		if s, err := decodeYAML(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", text, s, err, want)
		}
	}
}

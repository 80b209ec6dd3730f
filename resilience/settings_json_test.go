package resilience_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

func TestSettingsJSON(t *testing.T) {
	t.Parallel()
	s := sets{
		Attempts: 4, AttemptTimeout: 250 * ms, Strategy: "weighted",
		Backoff:        resilience.BackoffSettings{Initial: -1, Multiplier: 1.5},
		Ejection:       resilience.EjectionSettings{Off: true},
		ServiceBreaker: &resilience.RuleSettings{BreakerSettings: resilience.BreakerSettings{OpenFor: time.Second}, Rule: "rate", Threshold: .5},
		Methods: map[string]resilience.MethodSettings{
			"POST /pay": {Idempotency: retry.Keyed, Timeout: 90 * time.Second},
			"GET <&>":   {},
		},
	}
	want := `{"attempts":4,"attemptTimeout":"250ms","backoff":{"initial":"-1ns","multiplier":1.5},"strategy":"weighted",` +
		`"ejection":{"off":true},"serviceBreaker":{"openFor":"1s","rule":"rate","threshold":0.5},` +
		`"methods":{"GET \u003c\u0026\u003e":{},"POST /pay":{"timeout":"1m30s","idempotency":"keyed"}}}`
	got, err := json.Marshal(s)
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
	var back sets
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, back, s)
	}
	if got, err := json.Marshal(sets{}); err != nil || string(got) != "{}" {
		t.Errorf("the zero Settings: %s, %v", got, err)
	}
}

// TestSettingsJSONIsStrict: everything that is wrong, at once, by its name.
func TestSettingsJSONIsStrict(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want []string
	}{
		{`{"atempts": 3}`, []string{"atempts: unknown field; want one of attempts, attemptTimeout"}},
		{`{"Attempts": 3}`, []string{"Attempts: unknown field"}},
		{`{"attempts": "three"}`, []string{"attempts: want int, got string"}},
		{`{"attempts": 3.5}`, []string{"attempts"}},
		{`{"attempts": 99999999999999999999}`, []string{"attempts"}},
		{`{"timeout": 250}`, []string{`timeout 250: want a duration with its unit, such as "250ms"`}},
		{`{"timeout": "250"}`, []string{`timeout "250": want a duration with its unit`}},
		{`{"backoff": {"initial": "soon", "jitter": 1}, "zone": 5}`, []string{`backoff.initial "soon"`, "backoff.jitter: unknown field", "zone: want string, got number"}},
		{`{"backoff": 5}`, []string{"backoff: want object, got number"}},
		{`{"methods": {"pay": {"idempotency": "maybe"}}}`, []string{`methods["pay"].idempotency`, `"maybe": want one of unspecified, safe,`}},
		{`{"methods": {"pay": {"retries": 1}}}`, []string{`methods["pay"].retries: unknown field`}},
		{`{"methods": []}`, []string{"methods: want object, got array"}},
		{`{"serviceBreaker": {"rule": 5, "n": "x"}}`, []string{"serviceBreaker.rule", "serviceBreaker.n"}},
		{`{"attempts": -1, "zone": 5, "methods": {"pay": {"x": 1, "timeout": "-1s"}}, "serviceBreaker": {"n": "x", "baseline": 2}}`, []string{
			"attempts -1: want", "zone: want string", `methods["pay"].x: unknown`, `methods["pay"].timeout -1s: want`, "serviceBreaker.n", "serviceBreaker.baseline 2: want",
		}},
		{`[]`, []string{"settings: want object, got array"}},
		{`5`, []string{"settings: want object, got number"}},
		{`{`, []string{"unexpected end"}},
	}
	for _, tt := range tests {
		s := sets{Attempts: 7, Methods: map[string]resilience.MethodSettings{"kept": {Attempts: 2}}}
		err := json.Unmarshal([]byte(tt.text), &s)
		if err == nil {
			t.Errorf("%s: accepted", tt.text)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", tt.text, err, want)
			}
		}
		if s.Attempts != 7 || len(s.Methods) != 1 {
			t.Errorf("%s: changed the settings to %+v", tt.text, s)
		}
	}
}

// TestSettingsJSONOverlays: what is not named stays; null says nothing.
func TestSettingsJSONOverlays(t *testing.T) {
	t.Parallel()
	base := sets{
		Attempts: 5, Zone: "eu", Backoff: resilience.BackoffSettings{Initial: ms, Max: time.Second},
		ServiceBreaker: &resilience.RuleSettings{Rule: "rate", Threshold: .5},
		Methods:        map[string]resilience.MethodSettings{"a": {Attempts: 1}, "b": {Attempts: 1, Timeout: time.Second}},
	}
	s := base
	text := `{"attempts": null, "backoff": {"max": "2s"}, "serviceBreaker": {"threshold": 0.7}, "methods": {"b": {"attempts": 2}, "c": {}}}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	want := sets{
		Attempts: 5, Zone: "eu", Backoff: resilience.BackoffSettings{Initial: ms, Max: 2 * time.Second},
		ServiceBreaker: &resilience.RuleSettings{Rule: "rate", Threshold: .7},
		Methods:        map[string]resilience.MethodSettings{"a": {Attempts: 1}, "b": {Attempts: 2}, "c": {}},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	if base.ServiceBreaker.Threshold != .5 || len(base.Methods) != 2 || base.Methods["b"].Attempts != 1 {
		t.Errorf("what was copied from changed too: %+v", base)
	}
}

// randomSettings fills all fields with something, valid or not.
func randomSettings(rng *rand.Rand) sets {
	var s sets
	fill(rng, reflect.ValueOf(&s).Elem())
	return s
}

func fill(rng *rand.Rand, v reflect.Value) {
	if rng.IntN(4) == 0 {
		return // zero
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(rng, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rng, v.Elem())
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + rng.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(rng, e)
			v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("m\"%d é<", rng.IntN(100))), e)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(rng.Uint64()) >> rng.IntN(64))
	case reflect.Uint8:
		v.SetUint(uint64(rng.IntN(5)))
	case reflect.Float64:
		v.SetFloat(rng.NormFloat64() * 1e9)
	case reflect.String:
		v.SetString([]string{"a", "two words", "ünïcode\n", `"`}[rng.IntN(4)])
	default:
		panic("a kind of field that this test does not know: " + v.Kind().String())
	}
}

// TestSettingsJSONIdentity: marshal and unmarshal is the identity, for every
// field that Settings have or will have.
func TestSettingsJSONIdentity(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 7))
	named := map[string]bool{}
	for range 2000 {
		s := randomSettings(rng)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		var back sets
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(s, back) {
			t.Fatalf("%s\ngave %+v\nof   %+v", text, back, s)
		}
		var top map[string]json.RawMessage
		if err := json.Unmarshal(text, &top); err != nil {
			t.Fatal(err)
		}
		for name := range maps.Keys(top) {
			named[name] = true
		}
	}
	if n := reflect.TypeFor[sets]().NumField(); len(named) != n {
		t.Errorf("%d fields came up, of %d: %v", len(named), n, slices.Sorted(maps.Keys(named)))
	}
}

func FuzzSettingsJSON(f *testing.F) {
	rng := rand.New(rand.NewPCG(2, 7))
	for range 10 {
		text, err := json.Marshal(randomSettings(rng))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{`{}`, `null`, `{"timeout":"1h"}`, `{"methods":{"":null}}`, `{"serviceBreaker":null}`, `{"attempts":1e2}`, `[`, "{\"methods\":{\"\xff\":{}}}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s sets
		if err := json.Unmarshal(text, &s); err != nil {
			return
		}
		_ = s.Validate() // whatever it says
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%s was read and cannot be written: %v", text, err)
		}
		var back sets
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatalf("%s was written and cannot be read: %v", again, err)
		}
		if len(s.Methods) == 0 {
			s.Methods = nil // an empty map is no map
		}
		if !reflect.DeepEqual(s, back) {
			t.Errorf("%s\ngave %+v\nof   %+v", again, back, s)
		}
	})
}

package tune

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/holdfast-go/holdfast/benchmarks/sim"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// described is a usual system.
func described() sim.System {
	s := sim.System{Nodes: 5, Clients: 4, Rate: 1000, Service: sim.Service{Mean: 12 * time.Millisecond, CV: .6, Workers: 6, Queue: 50}}
	s = s.WithDefaults()
	for i := range s.Methods {
		s.Methods[i].Errors = .002
	}
	return s
}

func recommend(t testing.TB, f *Facts, w Wishes) *Recommendation {
	t.Helper()
	r, err := Recommend(f, w, resilience.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Settings.Validate(); err != nil {
		t.Fatal(err)
	}
	return r
}

// What a description says is taken over.
func TestDescribe(t *testing.T) {
	f := Describe(described(), "x")
	within(t, "pair rate", f.PairRate, 50, 1e-9)
	within(t, "failures", f.Normal.Value, .002, 1e-9)
	within(t, "p50 in ms", float64(f.Latency.P50)/1e6, 12/math.Sqrt(1.36)+.5, .05)
	within(t, "p99 in ms", float64(f.Latency.P99)/1e6, 10.29*math.Exp(2.326*.5545)+.5, .5)
	within(t, "spare", f.Spare, 5*6/(1000*.012)-1, .02)
	s := described()
	s.Methods[0].Errors, s.Methods[0].Burst = .02, 10
	f = Describe(s, "x")
	within(t, "bursts", f.Normal.Value, .5*.002+.5*.002, 1e-9)
	within(t, "failures in a burst", f.BurstMean, 5.5, 1e-9)
}

// The settings follow the wishes: the promise is kept at each, more patience
// takes longer, a smaller illness too, and what is promised is what is asked.
func TestRecommendFollowsWishes(t *testing.T) {
	f := Describe(described(), "x")
	last := Number(0)
	for _, n := range []float64{1e5, 100, 1, .01} {
		r := recommend(t, f, Wishes{FalseEjections: n, Broken: .3})
		if r.Promise.False > Number(n) || r.Promise.Time.P99 <= last {
			t.Errorf("%v a week: %v promised, p99 %v after %v", n, r.Promise.False, r.Promise.Time.P99, last)
		}
		last = r.Promise.Time.P99
	}
	last = 0
	for _, q := range []float64{1, .6, .3, .15} {
		r := recommend(t, f, Wishes{Broken: q})
		if r.Promise.Time.P99 <= last {
			t.Errorf("broken is %v: p99 %v after %v", q, r.Promise.Time.P99, last)
		}
		last = r.Promise.Time.P99
	}
	spare := recommend(t, f, Wishes{Spare: .2}).Settings
	if spare.Budget.Share >= .2 || spare.Ejection.MaxShare >= .5 || spare.Ejection.MaxShare < .2 {
		t.Errorf("little spare capacity: %+v", spare)
	}
	plain := recommend(t, f, Wishes{})
	f.Dispersion = 1.5
	spread := recommend(t, f, Wishes{})
	ratio := math.Log(spread.Settings.Ejection.FalseAlarm) / math.Log(plain.Settings.Ejection.FalseAlarm)
	if ratio < 1.3 || ratio > 1.8 || spread.Promise.False > 1./margin {
		t.Errorf("h is %.2f times as high with a dispersion of 1.5: %+v", ratio, spread.Promise)
	}
}

// What is not worked out stays as it is.
func TestRecommendKeepsTheRest(t *testing.T) {
	now := resilience.Settings{
		Attempts: 5, Strategy: "round-robin", Zone: "b", TrustRefusals: true,
		Ejection: resilience.EjectionSettings{Off: true, IgnoreSilence: true, FalseAlarm: 5000},
		Methods:  map[string]resilience.MethodSettings{"get": {Attempts: 2}},
	}
	r, err := Recommend(Describe(described(), "x"), Wishes{}, now)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Settings
	if s.Attempts != 5 || s.Strategy != "round-robin" || s.Zone != "b" || !s.TrustRefusals || !s.Ejection.IgnoreSilence || s.Methods["get"].Attempts != 2 {
		t.Errorf("%+v", s)
	}
	if s.Ejection.Off || s.Ejection.FalseAlarm == 5000 || now.Ejection.FalseAlarm != 5000 {
		t.Errorf("%+v", s.Ejection)
	}
}

// Present settings are judged by the same formulae, those that cannot see the
// illness too.
func TestPredict(t *testing.T) {
	f := Describe(described(), "x")
	blind := resilience.Settings{Ejection: resilience.EjectionSettings{Excess: .9}}
	if p := Predict(f, Wishes{Broken: .1}, blind); p.Impossible == "" || !math.IsInf(float64(p.Time.P99), 1) {
		t.Errorf("10 %% with an excess of 0.9: %+v", p)
	}
	if p := Predict(f, Wishes{}, resilience.Settings{Ejection: resilience.EjectionSettings{Off: true}}); p.Impossible != "ejection is off" {
		t.Errorf("off: %+v", p)
	}
	tight := Predict(f, Wishes{}, resilience.Settings{AttemptTimeout: 12 * time.Millisecond})
	if usual := Predict(f, Wishes{}, resilience.Settings{}); tight.False < 1e3*usual.False {
		t.Errorf("a timeout at the median latency: %v false ejections, %v without", tight.False, usual.False)
	}
}

// No setting of the front is beaten by another, and the recommended one is
// hardly beaten by them.
func TestFront(t *testing.T) {
	r := recommend(t, Describe(described(), "x"), Wishes{})
	list := r.front()
	if len(list) < 5 {
		t.Fatalf("%d points", len(list))
	}
	for i, p := range list {
		if i > 0 && (p.P99 < list[i-1].P99 || p.False >= list[i-1].False) {
			t.Errorf("%+v after %+v", p, list[i-1])
		}
		if p.False <= r.Promise.False && p.P99 < .97*r.Promise.Time.P99 {
			t.Errorf("%+v beats %+v", p, r.Promise)
		}
	}
}

// What is emitted reads as the settings: the YAML is read again, and the Go
// stands in an example.
func TestEmit(t *testing.T) {
	r := recommend(t, Describe(described(), "x"), Wishes{})
	text, err := YAML(r.Settings)
	if err != nil {
		t.Fatal(err)
	}
	var again resilience.Settings
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&again); err != nil || again.Ejection != r.Settings.Ejection || again.Breaker != r.Settings.Breaker ||
		again.Budget != r.Settings.Budget || again.AttemptTimeout != r.Settings.AttemptTimeout {
		t.Errorf("%v\n%s\n%+v", err, text, again)
	}
	s := resilience.Settings{AttemptTimeout: 1500 * time.Millisecond, Zone: "a\"b", Ejection: resilience.EjectionSettings{FalseAlarm: 1e9, Off: true}}
	want := "resilience.Settings{\n\tAttemptTimeout: 1500 * time.Millisecond,\n\tZone: \"a\\\"b\",\n\tEjection: resilience.EjectionSettings{\n\t\tOff: true,\n\t\tFalseAlarm: 1e+09,\n\t},\n}"
	if got := Go(s); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	s = resilience.Settings{
		ServiceBreaker: &resilience.RuleSettings{BreakerSettings: resilience.BreakerSettings{Probes: 2}, Rule: "rate"},
		Methods:        map[string]resilience.MethodSettings{"put": {Attempts: 1}, "get": {Idempotency: retry.Safe}},
	}
	want = "resilience.Settings{\n\tServiceBreaker: &resilience.RuleSettings{\n\t\tBreakerSettings: resilience.BreakerSettings{\n\t\t\tProbes: 2,\n\t\t},\n\t\tRule: \"rate\",\n\t},\n" +
		"\tMethods: map[string]resilience.MethodSettings{\n\t\t\"get\": resilience.MethodSettings{\n\t\t\tIdempotency: 1,\n\t\t},\n\t\t\"put\": resilience.MethodSettings{\n\t\t\tAttempts: 1,\n\t\t},\n\t},\n}"
	got := Go(s)
	if _, err := parser.ParseExpr(got); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// The report is one file that fetches nothing, and says all that it has to.
func TestHTML(t *testing.T) {
	r := recommend(t, Describe(described(), "<b>x</b>"), Wishes{})
	c := &Check{
		Seeds: 7, Rows: []Row{{Name: recommended, P99: 1}, {Name: present, P99: Number(math.Inf(1))}, {Name: "gobreaker"}},
		FalseAlarms: []Sparse{{FalseAlarm: 100}}, Limits: []Limit{{"if this", "then that"}},
	}
	report, err := NewReport(r, c)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteHTML(&b, report); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"&lt;b&gt;x&lt;/b&gt;", "ejection.falseAlarm", "gobreaker", "then that", "<svg", ">recommended</text>", ">present</text>", "never", "attemptTimeout:"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	for _, bad := range []string{"<script", "http:", "https:", "url(", "<b>x", "NaN", "ZgotmplZ", "+Inf"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	for _, ref := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `id="`+ref[1]+`"`) {
			t.Errorf("nothing has the id %q", ref[1])
		}
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(text, &again); err != nil || again.SchemaVersion != 1 || !math.IsInf(float64(again.Check.Rows[1].P99), 1) {
		t.Errorf("%v, %+v", err, again.Check)
	}
}

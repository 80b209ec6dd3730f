package sim

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

const systemYAML = `
name: shop
nodes: 100
clients: 1000
rate: 20000
timeout: 1s
warm: 5s
methods:
  - {name: read, share: 9, kind: safe, errors: 0.001, burst: 3}
  - {name: pay, kind: non-idempotent, slow: 4}
service: {mean: 20ms, cv: 1, workers: 8, queue: 100}
surges: [{from: 5s, to: 8s, times: 2}]
faults:
  - {at: 5s, for: 8s, do: kill, nodes: [7, 8]}
  - {at: 6s, do: sicken, nodes: [1], errors: 0.3, method: pay}
  - {at: 7s, for: 1s, do: cut, nodes: [2], clients: 0.5}
client:
  settings:
    attempts: 4
    ejection: {falseAlarm: 1e7}
`

func TestRead(t *testing.T) {
	got, err := Read(strings.NewReader(systemYAML))
	if err != nil {
		t.Fatal(err)
	}
	want := System{
		Name: "shop", Nodes: 100, Clients: 1000, Rate: 20_000, Timeout: time.Second, Warm: 5 * time.Second,
		Methods: []Method{
			{Name: "read", Share: 9, Kind: retry.Safe, Errors: .001, Burst: 3},
			{Name: "pay", Kind: retry.NonIdempotent, Slow: 4},
		},
		Service: Service{Mean: 20 * time.Millisecond, CV: 1, Workers: 8, Queue: 100},
		Surges:  []Surge{{From: 5 * time.Second, To: 8 * time.Second, Times: 2}},
		Faults: []Fault{
			{At: 5 * time.Second, For: 8 * time.Second, Do: Kill, Nodes: []int{7, 8}},
			{At: 6 * time.Second, Do: Sicken, Nodes: []int{1}, Errors: .3, Method: "pay"},
			{At: 7 * time.Second, For: time.Second, Do: Cut, Nodes: []int{2}, Share: .5},
		},
		Client: Client{Settings: resilience.Settings{Attempts: 4, Ejection: resilience.EjectionSettings{FalseAlarm: 1e7}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if s, err := Read(strings.NewReader("")); err != nil || !reflect.DeepEqual(s, System{}) {
		t.Errorf("an empty document: %+v, %v; want the zero System", s, err)
	}
}

// What is wrong is told all at once, by its name in the document.
func TestReadErrors(t *testing.T) {
	for text, want := range map[string][]string{
		"nodez: 3":                                   {"nodez"},
		"wire: 5":                                    {"!!int `5`", "Duration"},
		"nodes: 0x":                                  {"line 1", "0x"},
		"nodez: 3\nrate: many\nclients: -1":          {"sim: line 1: field nodez not found\n", "sim: line 2: ", "clients -1: want"},
		"rate: 1\n---\nrate: 2":                      {"more than one document"},
		"nodes: -1\nrate: -5\nclients: 1000000":      {"nodes -1: want 1 to", "rate -5: want", "clients 1000000: want"},
		"methods: [{kind: sometimes}]":               {"sometimes"},
		"methods: [{name: a}, {name: a, errors: 2}]": {"methods[1].name a: want", "methods[1].errors 2: want 0 to 1"},
		"service: {queue: 3, workers: -1}":           {"service.workers -1", "service.queue 3"},
		"faults: [{at: 1h, do: explode, nodes: [5]}]": {
			"faults[0].do explode: want one of [kill", "faults[0].at 1h0m0s: want a time within the run's 17s", "faults[0].nodes 5: want 0 to 4",
		},
		"faults: [{do: kill, slow: 3, clients: 0.5, method: x}]": {"faults[0].do kill: want sicken", "faults[0].clients 0.5", "faults[0].method x"},
		"surges: [{from: 3s, to: 1s, times: -1}]":                {"surges[0] from 3s to 1s", "surges[0].times -1"},
		"client: {stack: duct-tape}":                             {"client.stack duct-tape: want holdfast or bare, backoff"},
		"client: {settings: {attempts: 1000}}":                   {"attempts 1000"},
	} {
		_, err := Read(strings.NewReader(text))
		if err == nil {
			t.Errorf("%q: no error", text)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %q does not say %q", text, err, w)
			}
		}
	}
}

// All sixteen scenarios can be simulated.
func TestFromPlan(t *testing.T) {
	for _, sc := range append(scenario.All(), scenario.None) {
		for _, pace := range []scenario.Pace{scenario.Full, scenario.Quick} {
			plan := sc.Plan(pace)
			s := FromPlan(sc.Name, plan, false)
			if err := s.Validate(); err != nil {
				t.Errorf("%s: %v", sc.Name, err)
			}
			if s.Total() != plan.Total() {
				t.Errorf("%s: takes %v, want %v", sc.Name, s.Total(), plan.Total())
			}
			begins := 0
			for _, step := range plan.Steps {
				if _, ok := deeds[step.Do]; ok && (step.Do != harness.DoSicken || step.Illness != harness.Illness{}) {
					begins++
				}
			}
			if len(s.Faults) < begins {
				t.Errorf("%s: %d faults of %d steps that begin one", sc.Name, len(s.Faults), begins)
			}
		}
	}
	s := FromPlan("hang", scenarioNamed(t, "hang").Plan(scenario.Full), true)
	want := []Fault{
		{At: 3 * time.Second, For: 300 * time.Millisecond, Do: Stop, Nodes: []int{4}, Innocent: true},
		{At: 5 * time.Second, For: 10 * time.Second, Do: Stop, Nodes: []int{4}},
	}
	if !reflect.DeepEqual(s.Faults, want) || s.Methods[1].Kind != retry.Keyed {
		t.Errorf("hang: %+v, %+v; want %+v", s.Faults, s.Methods, want)
	}
	if s := FromPlan("partition", scenarioNamed(t, "partition").Plan(scenario.Full), false); s.Faults[0].Share != .5 || s.Clients != 4 {
		t.Errorf("partition: %+v", s)
	}
}

func scenarioNamed(t *testing.T, name string) scenario.Scenario {
	t.Helper()
	for _, sc := range scenario.All() {
		if sc.Name == name {
			return sc
		}
	}
	t.Fatalf("no scenario %q", name)
	return scenario.Scenario{}
}

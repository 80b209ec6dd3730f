package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

// TestLogKeepsTheLast entries, in order, whatever their number.
func TestLogKeepsTheLast(t *testing.T) {
	t.Parallel()
	var l log
	if len(l.list()) != 0 {
		t.Error("an empty log has entries")
	}
	for i := range 3*maxLog + 7 {
		l.add(Entry{Service: fmt.Sprint(i)})
		list := l.list()
		if n := min(i+1, maxLog); len(list) != n {
			t.Fatalf("%d entries after %d, want %d", len(list), i+1, n)
		}
		for j, e := range list {
			if want := i - len(list) + 1 + j; e.Service != fmt.Sprint(want) || e.ID != uint64(want)+1 {
				t.Fatalf("after %d: entry %d is %q, number %d", i+1, j, e.Service, e.ID)
			}
		}
	}
}

// TestNightlyEjection: when, which, why, and when it comes back.
func TestNightlyEjection(t *testing.T) {
	t.Parallel()
	bench := resiliencetest.New(1)
	b := newBoard(t, Config{})
	for _, id := range []string{"a", "b", "c"} {
		bench.Node(id, nil)
	}
	c := benchClient(t, bench, b, config{Service: "s"})
	run := func(n int) {
		bench.Run(func() {
			for range n {
				_ = c.Do(context.Background(), resilience.Safe("m"), bench.Op)
				bench.Sleep(20 * tick)
			}
		})
	}
	node := func() Node { return b.State().Services[0].Nodes[1] }
	run(50)
	if n := node(); n.Ejected || n.RetryAt != nil || len(n.History) != 0 || n.LastEjection != nil || n.Breaker.State != "closed" {
		t.Errorf("healthy: %+v", n)
	}
	bench.Node("b", steps(fails(resilience.NotSent)))
	run(50)
	n := node()
	if !n.Ejected || n.RetryAt == nil || n.Breaker.State == "closed" || len(n.History) == 0 || n.History[0].Kind != "ejected" {
		t.Fatalf("ejected: %+v", n)
	}
	if e := n.LastEjection; e == nil || e.Reason.Cause != "ejector" || !e.At.Equal(n.History[0].At) {
		t.Errorf("last ejection: %+v", e)
	}
	entry := func(kind string) (found Entry) {
		for _, e := range b.State().Log {
			if e.Kind == kind {
				found = e
			}
		}
		return found
	}
	out := entry("ejected")
	if out.Service != "s" || out.Node != "b" || out.Reason == nil || out.Reason.Cause != "ejector" || out.Reason.Score < out.Reason.Threshold || out.OpenFor <= 0 || out.At.IsZero() {
		t.Errorf("%+v, because %+v", out, out.Reason)
	}
	bench.Node("b", nil)
	run(1000)
	if n := node(); n.Ejected || n.History[len(n.History)-1].Kind != "readmitted" {
		t.Errorf("back: %+v", n)
	}
	for i := range 3 * maxHistory {
		var err error
		if i%2 == 0 {
			err = c.Selector().Eject("b", strings.Repeat("why? ", 1000))
		} else {
			err = c.Selector().Readmit("b", "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := node(); len(n.History) != maxHistory || n.History[maxHistory-1].Kind != "readmitted" {
		t.Errorf("a history of %d", len(n.History))
	}
	if by := entry("ejected"); by.Reason.Cause != "hand" || !strings.HasPrefix(by.Reason.Note, "why? ") || len(by.Reason.Note) > maxText+3 {
		t.Errorf("by hand: %+v", by.Reason)
	}
	bench.Run(func() { bench.FailSource(errors.New("no such host")) })
	if e := entry("source failed"); e.Error != "no such host" {
		t.Errorf("%+v", e)
	}
	bench.Run(func() { bench.SetNodes(selector.Node{ID: "z"}) })
	if e := entry("nodes changed"); e.Nodes != 1 || e.Added != 1 || e.Removed != 3 {
		t.Errorf("%+v", e)
	}
	if n := len(b.list()[0].pasts); n != 0 {
		t.Errorf("the histories of %d nodes that have left", n)
	}
}

// TestServiceBreakerIsLogged, what a hand does to it included.
func TestServiceBreakerIsLogged(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{})
	c := realClient(t, b, config{Service: "s", Settings: sets{ServiceBreaker: &resilience.RuleSettings{}}})
	circuit := c.ServiceBreaker().(*breaker.Circuit)
	circuit.Trip(breaker.Reason{Cause: breaker.ByHand, Note: "for the test"})
	circuit.Force(breaker.ForcedOpen, "again")
	circuit.Force(breaker.ForcedClosed, "")
	var got []string
	for _, e := range b.State().Log {
		if strings.HasPrefix(e.Kind, "breaker") {
			got = append(got, e.Kind+": "+e.Reason.Note)
		}
	}
	if want := []string{"breaker open: for the test", "breaker mode forced-open: again", "breaker closed: "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// schema is what version 1 of the JSON is made of. Whoever changes or removes a
// line here changes SchemaVersion.
const schema = `
State: schemaVersion at steering processes services log
Process: name url heard error
Service: name process settings settingsRefused candidate calls attempts inFlight inFlightPeak breaker budget nodes
Refusal: at error
Candidate: since settings breaker wouldEject ejected
Budget: tokens most
Node: id addr zone ejected notReady inFlight score threshold retryAt ownRule breaker attempts history lastEjection would
Would: ejected score threshold retryAt times outForMs lastEjection
Breaker: state mode shadow rule minCalls errorRate openForMs score threshold retryAt since reason wouldReject
Reason: cause rule score threshold calls failures note
Window: total succeeded answered failed timedOut rejected shortCircuited abandoned ambiguous retries fellBack fallbackFailed latency
Latency: count meanMs minMs p25Ms p50Ms p75Ms p90Ms p95Ms p99Ms p995Ms maxMs
Entry: id at process service node kind openForMs outForMs candidate reason error who did why nodes added removed
Change: at kind
Ejection: at reason`

// TestSchema: the names of the JSON are those of its version.
func TestSchema(t *testing.T) {
	t.Parallel()
	if SchemaVersion != 1 {
		t.Fatal("write down the new version's names")
	}
	got := make(map[string]string)
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(typ.Elem())
		case reflect.Struct:
			if typ.PkgPath() != reflect.TypeFor[State]().PkgPath() {
				return // time.Time, resilience.Settings
			}
			var names []string
			for i := range typ.NumField() {
				name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
				names = append(names, name)
				walk(typ.Field(i).Type)
			}
			got[typ.Name()] = strings.Join(names, " ")
		}
	}
	walk(reflect.TypeFor[State]())
	want := make(map[string]string)
	for _, line := range strings.Split(strings.TrimSpace(schema), "\n") {
		name, fields, _ := strings.Cut(line, ": ")
		want[name] = fields
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s has\n%s, want\n%s", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d types, want %d", len(got), len(want))
	}
}

// TestStateJSON can be read back, and is what State returns.
func TestStateJSON(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{})
	c := realClient(t, b, config{Service: "s", Nodes: addrs(2), Settings: sets{AttemptTimeout: time.Second}})
	if err := c.Do(t.Context(), resilience.Safe("m"), good); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/holdfast/state.json", nil))
	var got State
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := b.State()
	if got.SchemaVersion != SchemaVersion || got.At.IsZero() || got.Services[0].Settings.AttemptTimeout != time.Second {
		t.Errorf("%s", w.Body)
	}
	if len(got.Services[0].Nodes) != 2 || got.Services[0].Nodes[0].ID != want.Services[0].Nodes[0].ID || len(got.Log) != len(want.Log) || len(got.Log) == 0 {
		t.Errorf("%s", w.Body)
	}
	if w.Header().Get("Content-Type") != "application/json" {
		t.Error(w.Header())
	}
}

// fixedSettings is a source of settings that a test works by hand.
type fixedSettings struct {
	report func(resilience.Settings, error) error
}

func (f *fixedSettings) Watch(report func(resilience.Settings, error) error) error {
	f.report = report
	return report(resilience.Settings{}, nil)
}

func (*fixedSettings) Close() error { return nil }

// TestSettingsRefused: what the source of the settings has is wrong, and since
// when, until it is right again.
func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{})
	source := &fixedSettings{}
	realClient(t, b, config{Service: "s", SettingsFrom: source})
	refused := func() *Refusal { return b.State().Services[0].Refused }
	if r := refused(); r != nil {
		t.Errorf("at first %+v", r)
	}
	_ = source.report(resilience.Settings{}, errors.New("users.yaml:7: "+strings.Repeat("x", 2*maxText)))
	r := refused()
	list := b.State().Log
	last := list[len(list)-1]
	if r == nil || !strings.HasPrefix(r.Error, "users.yaml:7: xx") || len(r.Error) > maxText+len("…") || r.At.IsZero() {
		t.Fatalf("%+v", r)
	}
	if last.Kind != "settings refused" || last.Error != r.Error || last.Service != "s" {
		t.Errorf("%+v", last)
	}
	_ = source.report(resilience.Settings{Attempts: 5}, nil)
	list = b.State().Log
	if r := refused(); r != nil || list[len(list)-1].Kind != "settings changed" || b.State().Services[0].Settings.Attempts != 5 {
		t.Errorf("%+v, %+v", r, list[len(list)-1])
	}
}

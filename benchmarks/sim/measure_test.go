package sim

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/scenario"
	"github.com/holdfast-go/holdfast/retry"
)

// written is a simulated run, written down as the harness writes down one of
// real processes.
type written struct {
	w   *world
	run harness.Run
}

func (x *written) at() time.Time { return x.run.Start.Add(time.Duration(x.w.now())) }

func (x *written) id(c *call) string { return fmt.Sprint("r", c.id) }

func (x *written) route(c *call) harness.Route {
	if x.w.sys.Methods[c.method].Kind == retry.Safe {
		return harness.Get
	}
	return harness.Post
}

func (x *written) record(kind harness.Kind, c *call, node string, number int, at time.Time) {
	x.run.Records = append(x.run.Records, harness.Record{Kind: kind, ID: x.id(c), Route: x.route(c), Node: node, Attempt: number, At: at})
}

func (x *written) begun(j *job) {
	x.record(harness.Begun, j.call, nodeName(j.node.index), j.number, x.run.Start.Add(time.Duration(j.begun)))
}

func (x *written) unbegun(j *job) {
	id, node := x.id(j.call), nodeName(j.node.index)
	for i, r := range slices.Backward(x.run.Records) {
		if r.Kind == harness.Begun && r.ID == id && r.Node == node && r.Attempt == j.number {
			x.run.Records = slices.Delete(x.run.Records, i, i+1)
			return
		}
	}
	panic("taken back, and was not begun")
}

func (x *written) applied(c *call) { x.record(harness.Applied, c, "", 0, x.at()) }

func (x *written) done(c *call) {
	x.run.Shots = append(x.run.Shots, harness.Shot{
		Arrival: harness.Arrival{Due: time.Duration(c.due), Route: x.route(c), ID: x.id(c)},
		Sent:    time.Duration(c.due), Done: time.Duration(x.w.now()), OK: c.ok,
	})
}

func (x *written) node(kind harness.EntryKind, client, node int) {
	process := client / x.run.Plan.Clients
	x.run.Entries[process] = append(x.run.Entries[process], harness.Entry{
		Kind: kind, Node: nodeName(node), End: x.at(), Client: client % x.run.Plan.Clients,
	})
}

// What is counted as the run goes is what the harness finds in a run that was
// written down, in all scenarios.
func TestMeasureIsTheHarnesss(t *testing.T) {
	stacks := append([]string{Holdfast}, Peers()...)
	pace := scenario.Full
	if testing.Short() {
		stacks, pace = []string{Holdfast, "go-resiliency"}, scenario.Quick
	}
	seen := map[string]bool{} // metrics that had anything to tell
	for _, sc := range scenario.All() {
		for _, stack := range stacks {
			plan := sc.Plan(pace).WithDefaults()
			s := FromPlan(sc.Name, plan, false).WithDefaults()
			s.Client.Stack = stack
			w, err := newWorld(s, 7, nil)
			if err != nil {
				t.Fatal(err)
			}
			x := &written{w: w, run: harness.Run{Plan: plan, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Entries: make([][]harness.Entry, plan.Processes)}}
			w.m.tell = x
			got, err := w.run()
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range plan.Steps {
				d := harness.Done{Step: step, Begin: step.At, End: step.At}
				for _, sick := range w.m.sick { // one that dies by itself is ill from then
					if step.Illness.Die != "" && slices.Contains(step.Nodes, sick.node) && sick.from >= int64(step.At) && sick.from < int64(step.At+fuseTime+1) {
						d.Begin = time.Duration(sick.from)
					}
				}
				x.run.Steps = append(x.run.Steps, d)
			}
			want := x.run.Measure()
			for _, key := range harness.MetricKeys {
				g, gok := got.Value(key)
				v, ok := want.Value(key)
				if g != v || gok != ok {
					t.Errorf("%s/%s: %s %v (%v), in the harness %v (%v)", sc.Name, stack, key, g, gok, v, ok)
				}
				seen[key] = seen[key] || v > 0
			}
			if b := x.run.Baseline(); !reflect.DeepEqual(got.Baseline, b) {
				t.Errorf("%s/%s: baseline %v, in the harness %v", sc.Name, stack, got.Baseline, b)
			}
			course(t, sc.Name+"/"+stack, got.Course, x.run.Course())
		}
	}
	for _, key := range harness.MetricKeys {
		if !seen[key] && key != "lost" && !testing.Short() {
			t.Errorf("%s: it was 0 throughout, so it was not tested", key)
		}
	}
}

func course(t *testing.T, name string, got, want harness.Course) {
	t.Helper()
	if !reflect.DeepEqual(got.Good, want.Good) || !reflect.DeepEqual(got.Failed, want.Failed) || !reflect.DeepEqual(got.Attempts, want.Attempts) {
		t.Errorf("%s: the course of calls or attempts is not the harness's", name)
	}
	for i := range want.P99Ms {
		g, w := got.P99Ms[i], want.P99Ms[i]
		if (g == nil) != (w == nil) || g != nil && (*g > *w*1.002 || *g < *w/1.002) { // three digits there
			t.Errorf("%s: p99 of slice %d: %v, in the harness %v", name, i, g, w)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(want.Out)) {
		for i, w := range want.Out[node] {
			if g := got.Out[node][i]; g > w+1e-9 || g < w-1e-9 {
				t.Errorf("%s: %s out in slice %d: %v, in the harness %v", name, node, i, g, w)
				return
			}
		}
	}
}

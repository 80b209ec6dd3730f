package main

import (
	"os"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == harness.RoleCommand {
		main()
	}
	os.Exit(m.Run())
}

// What happens to an instance takes effect on connections that live on, and is
// undone: it serves nothing while it is down, and again when it is back. What
// holdfast lets fail is a POST that may have been carried out, and it says so.
func TestDeeds(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for several seconds")
	}
	for _, stack := range []harness.Stack{outlier{}, resilient{}} {
		for _, deeds := range [][2]harness.Deed{{harness.DoKill, harness.DoStart}, {harness.DoDrain, harness.DoStart}, {harness.DoRefuse, harness.DoAdmit}} {
			t.Run(stack.Name()+"/"+string(deeds[0]), func(t *testing.T) {
				run, err := harness.Bench(t.Context(), harness.BenchConfig{Stack: stack, Plan: harness.Plan{
					Nodes: 3, Processes: 1, Rate: 60, Warm: 800 * time.Millisecond, Fault: 1200 * time.Millisecond, Recover: 4 * time.Second,
					Timeout: 5 * time.Second, Seed: 7, Steps: []harness.Step{
						{At: 800 * time.Millisecond, Do: deeds[0], Nodes: []int{2}}, {At: 2 * time.Second, Do: deeds[1], Nodes: []int{2}},
					},
				}})
				if err != nil {
					t.Fatal(err)
				}
				down, back := run.Steps[0], run.Steps[1]
				before, during, after := 0, 0, 0
				for _, rec := range run.Records {
					switch at := run.At(rec.At); {
					case rec.Node != "hello-3" || rec.Kind != harness.Begun:
					case at < down.Begin:
						before++
					case at >= down.End && at < back.Begin:
						during++
					case at >= back.End:
						after++
					}
				}
				if before == 0 || during > 0 || after == 0 {
					t.Errorf("attempts on it: %d before, %d while it was down, %d after", before, during, after)
				}
				if m := run.Measure(); m.Duplicated > 0 || m.Lost > 0 {
					t.Errorf("%+v", m)
				}
				for _, s := range run.Shots {
					if stack.Name() == (resilient{}).Name() && !s.OK && (s.Route != harness.Post || !s.Ambiguous || deeds[0] != harness.DoKill) {
						t.Errorf("%v %s failed: %s", s.Route, s.ID, s.Err)
					}
				}
			})
		}
	}
}

// Both take out an instance that fails all the time, and say so.
func TestEjection(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for several seconds")
	}
	for _, stack := range []harness.Stack{outlier{}, resilient{}} {
		run, err := harness.Bench(t.Context(), harness.BenchConfig{Stack: stack, Plan: harness.Plan{
			Nodes: 3, Processes: 1, Rate: 120, Warm: 500 * time.Millisecond, Fault: 4 * time.Second, Recover: 500 * time.Millisecond,
			Timeout: 5 * time.Second, Seed: 7, Steps: []harness.Step{
				{At: 500 * time.Millisecond, Do: harness.DoSicken, Nodes: []int{2}, Illness: harness.Illness{Errors: 1}},
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if m := run.Measure(); m.Ejections == 0 || m.FalseEjections > 0 {
			t.Errorf("%s: %d ejections, %d of them false", stack.Name(), m.Ejections, m.FalseEjections)
		}
	}
}

// The log of grpc-go says who was ejected; nothing else does.
func TestLog(t *testing.T) {
	var told []harness.Entry
	l := log{clients: []harness.ClientConfig{{
		Nodes:   []harness.Node{{ID: "a", Addr: "127.0.0.1:1"}, {ID: "b", Addr: "127.0.0.1:2"}},
		Journal: harness.NewJournal(discard{}, func(e harness.Entry) { told = append(told, e) }),
	}}}
	for _, line := range []string{
		`[Channel #1] Subchannel ejected: [{Addr: "127.0.0.1:2", ServerName: "", }]`,
		`[Channel #1] Subchannel unejected: [{Addr: "127.0.0.1:2", ServerName: "", }]`,
		`[Channel #2] Subchannel ejected: [{Addr: "127.0.0.1:2", ServerName: "", }]`, // nobody's
		`[Channel #1] something else`,
	} {
		l.Infoln(line)
	}
	if len(told) != 2 || told[0].Kind != harness.Ejected || told[0].Node != "b" || told[1].Kind != harness.Readmitted {
		t.Errorf("%+v", told)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

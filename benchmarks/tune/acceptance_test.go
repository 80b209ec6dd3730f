package tune

import (
	"os"
	"testing"
)

// The recommender keeps its promises on systems that it was not built with:
// here by formula alone and on a few calls, so that the systems are judged together; in full by
// go run ./benchmarks/cmd/acceptance.
func TestAcceptance(t *testing.T) {
	a := Acceptance{Calls: 15_000, Formula: true, Systems: []uint64{401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414}}
	if testing.Short() {
		a = Acceptance{Calls: 10_000, Formula: true, Systems: []uint64{401, 409}}
	}
	list, err := Accept(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	for _, missed := range Judge(list) {
		t.Error(missed)
	}
	if t.Failed() || testing.Verbose() {
		_ = PrintVerdicts(os.Stdout, list)
	}
}

// The experiment can fail: each goal, broken, is missed.
func TestJudge(t *testing.T) {
	good := Verdict{Held: true, Within: true, Allowed: 5, Rows: []Row{{Seen: 100, Within: .99}, {}}}
	twenty := func(change func(*Verdict)) (list []Verdict) {
		for i := range 20 {
			v := good
			v.Rows = append([]Row(nil), good.Rows...)
			if i < 2 {
				change(&v)
			}
			list = append(list, v)
		}
		return list
	}
	for name, row := range map[string]struct {
		change func(*Verdict)
		missed int
	}{
		"good":            {func(*Verdict) {}, 0},
		"false ejections": {func(v *Verdict) { v.Held = false }, 1},
		"late":            {func(v *Verdict) { v.Within = false }, 1},
		"late, all":       {func(v *Verdict) { v.Rows[0].Seen, v.Rows[0].Within = 10000, .5 }, 1},
		"dominated":       {func(v *Verdict) { v.Beaten = "x" }, 2},
		"never":           {func(v *Verdict) { v.Promised = inf() }, 2},
		"refused":         {func(v *Verdict) { v.Err = "x" }, 4},
		"few, together":   {func(v *Verdict) { v.Allowed, v.Held, v.Rows[0].False = .1, false, 60 }, 1},
	} {
		if missed := Judge(twenty(row.change)); len(missed) != row.missed {
			t.Errorf("%s: %q", name, missed)
		}
	}
	own := Row{Name: "own", P50: 2, P50Error: .1, Million: 5, False: 50, Healthy: 1e7}
	for _, o := range []struct {
		row   Row
		beats bool
	}{
		{Row{Name: "gobreaker", P50: 1, Million: 5, False: 50}, true},
		{Row{Name: "gobreaker", P50: 1.9, Million: 5, False: 50}, false}, // chance
		{Row{Name: "gobreaker", P50: 2, Million: 2, False: 20}, true},
		{Row{Name: "gobreaker", P50: 2, Million: 4, False: 40}, false}, // chance
		{Row{Name: "gobreaker", P50: 2, Million: 5, False: 50}, false},
		{Row{Name: "gobreaker", P50: 1, Million: 6, False: 60}, false},
		{Row{Name: "gobreaker", P50: inf(), Million: 0}, false},
		{Row{Name: present, P50: 1, Million: 1}, false},
	} {
		o.row.Healthy = 1e7
		if got := dominatedBy(own, []Row{own, o.row}) != ""; got != o.beats {
			t.Errorf("%+v: %v", o.row, got)
		}
	}
}

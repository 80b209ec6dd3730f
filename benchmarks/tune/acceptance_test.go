package tune

import (
	"os"
	"testing"
)

// The recommender keeps its promises on systems that it was not built with:
// here on a few calls, so that the systems are judged together; in full by
// go run ./benchmarks/cmd/acceptance.
func TestAcceptance(t *testing.T) {
	a := Acceptance{Calls: 15_000}
	if testing.Short() {
		a = Acceptance{Calls: 10_000, Systems: []uint64{401, 409}}
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
	own := Row{Name: "own", P50: 2, Million: 5}
	for _, o := range []struct {
		row   Row
		beats bool
	}{
		{Row{Name: "gobreaker", P50: 1, Million: 5}, true},
		{Row{Name: "gobreaker", P50: 2, Million: 4}, true},
		{Row{Name: "gobreaker", P50: 2, Million: 5}, false},
		{Row{Name: "gobreaker", P50: 1, Million: 6}, false},
		{Row{Name: "gobreaker", P50: inf(), Million: 0}, false},
		{Row{Name: present, P50: 1, Million: 1}, false},
	} {
		if got := dominatedBy(own, []Row{own, o.row}) != ""; got != o.beats {
			t.Errorf("%+v: %v", o.row, got)
		}
	}
}

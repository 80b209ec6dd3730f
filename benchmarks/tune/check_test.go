package tune

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/resilience"
)

// The check runs the recommended settings, the present ones and five peers on
// the same arrivals, agrees with what was predicted, and gives the same twice,
// however many workers there are.
func TestCheck(t *testing.T) {
	r := recommend(t, Describe(described(), "x"), Wishes{})
	seeds := 6
	if testing.Short() {
		seeds = 2
	}
	runs := Runs{Seeds: seeds, Workers: 1, Present: resilience.Settings{Ejection: resilience.EjectionSettings{FalseAlarm: 1e12}}}
	c, err := r.Check(t.Context(), runs)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, row := range c.Rows {
		list = append(list, row.Name)
	}
	if got := strings.Join(list, " "); got != "recommended present gobreaker hystrix failsafe circuit go-resiliency" {
		t.Fatal(got)
	}
	own, now := c.Rows[0], c.Rows[1]
	if own.Seen < seeds || own.Ejected != own.Seen || own.Within < .95 || own.False > 0 || own.Healthy < float64(seeds*800) {
		t.Errorf("%+v", own)
	}
	if own.P50 > r.Promise.Time.P50 || own.P50 < r.Promise.Time.P50/3 || now.P50 <= own.P50 {
		t.Errorf("p50 %v, predicted %v; %v with a threshold that is too high", own.P50, r.Promise.Time.P50, now.P50)
	}
	for _, a := range c.FalseAlarms {
		if float64(a.False) > a.Most+3*math.Sqrt(a.Most)+1 {
			t.Errorf("%+v", a)
		}
	}
	if len(c.FalseAlarms) != 3 || len(c.Limits) != 5 {
		t.Errorf("%+v, %+v", c.FalseAlarms, c.Limits)
	}
	runs.Workers = 3
	again, err := r.Check(t.Context(), runs)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(c)
	b, _ := json.Marshal(again)
	if string(a) != string(b) {
		t.Errorf("the same seeds came to\n%s\nand\n%s", a, b)
	}
}

// An interrupted check says so, and the command exits with 130.
func TestCheckInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cli.ErrInterrupted)
	r := recommend(t, Describe(described(), "x"), Wishes{})
	if _, err := r.Check(ctx, Runs{Seeds: 6}); !errors.Is(err, cli.ErrInterrupted) {
		t.Error(err)
	}
	var out strings.Builder
	code := Run(ctx, []string{"-system", file(t, "s.yaml", "nodes: 4\n")}, cli.Streams{Out: &out, Err: &out})
	if code != cli.Interrupted || strings.Contains(out.String(), "YAML") {
		t.Errorf("%d %s", code, out.String())
	}
}

package trace

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Summary is what a trace has in it.
type Summary struct {
	SchemaVersion int           `json:"schemaVersion"`
	Files         int           `json:"files"`
	Begin         time.Time     `json:"begin"`
	Span          time.Duration `json:"spanNanoseconds"`
	Clients       int           `json:"clients"`
	Total         Group         `json:"total"`
	Nodes         []Group       `json:"nodes"`
	Methods       []Group       `json:"methods"`
	Outcomes      []Group       `json:"outcomes"`
	Retries       int64         `json:"retries"`     // attempts that were not a call's first
	Lost          uint64        `json:"lost"`        // attempts that recorders could not write
	Broken        []string      `json:"broken"`      // where files end before their time
	PairRateP10   float64       `json:"pairRateP10"` // calls a second of a client at a node: a tenth of the pairs has less
	PairRateP50   float64       `json:"pairRateP50"`
}

// Group is some of the attempts.
type Group struct {
	Name     string        `json:"name"`
	Attempts int64         `json:"attempts"`
	Failures int64         `json:"failures"`       // what says that the node is ill
	Rate     float64       `json:"rate"`           // attempts a second
	P50      time.Duration `json:"p50Nanoseconds"` // of those that did not fail
	P99      time.Duration `json:"p99Nanoseconds"`
}

const maxRows = 50 // of a table

// Summarize counts.
func (s *Set) Summarize() Summary {
	out := Summary{SchemaVersion: 1, Files: s.Files, Span: s.Span(), Clients: len(s.Clients), Lost: s.Lost, Broken: []string{}}
	for _, err := range s.Broken {
		out.Broken = append(out.Broken, err.Error())
	}
	var total tally
	nodes, methods, outcomes := make([]tally, len(s.Nodes)), make([]tally, len(s.Methods)), make([]tally, len(s.Outcomes))
	pairs := make(map[[2]int32]int64)
	for i := range s.Attempts {
		a := &s.Attempts[i]
		if out.Begin.IsZero() || a.Start < out.Begin.UnixNano() {
			out.Begin = time.Unix(0, a.Start).UTC()
		}
		if a.Attempt > 1 {
			out.Retries += int64(a.Calls)
		}
		total.add(a)
		methods[a.Method].add(a)
		outcomes[a.Outcome].add(a)
		if a.Node >= 0 {
			nodes[a.Node].add(a)
			pairs[[2]int32{a.Client, a.Node}] += int64(a.Calls)
		}
	}
	out.Total = total.group("total", out.Span)
	out.Nodes, out.Methods, out.Outcomes = groups(nodes, s.Nodes, out.Span), groups(methods, s.Methods, out.Span), groups(outcomes, s.Outcomes, out.Span)
	rates := make([]float64, 0, len(pairs))
	for _, n := range pairs {
		rates = append(rates, float64(n)/out.Span.Seconds())
	}
	out.PairRateP10, out.PairRateP50 = Quantile(rates, .1), Quantile(rates, .5)
	return out
}

type tally struct {
	n, failed int64
	latency   []int64
}

func (t *tally) add(a *Attempt) {
	t.n += int64(a.Calls)
	switch a.Result {
	case breaker.Failure:
		t.failed += int64(a.Calls)
	case breaker.Success:
		t.latency = append(t.latency, a.Latency)
	}
}

func (t *tally) group(name string, span time.Duration) Group {
	g := Group{Name: name, Attempts: t.n, Failures: t.failed}
	if span > 0 {
		g.Rate = float64(t.n) / span.Seconds()
	}
	if len(t.latency) > 0 {
		g.P50, g.P99 = time.Duration(Quantile(t.latency, .5)), time.Duration(Quantile(t.latency, .99))
	}
	return g
}

func groups(tallies []tally, names []string, span time.Duration) []Group {
	list := make([]Group, 0, len(names))
	for i := range tallies {
		if tallies[i].n > 0 {
			list = append(list, tallies[i].group(names[i], span))
		}
	}
	slices.SortStableFunc(list, func(a, b Group) int { return cmp.Compare(b.Attempts, a.Attempts) })
	return list
}

// Quantile is the smallest value with at least a share of q at or below it; 0
// of none. It sorts x.
func Quantile[T int64 | float64](x []T, q float64) T {
	if len(x) == 0 {
		return 0
	}
	slices.Sort(x)
	return x[max(int(math.Ceil(q*float64(len(x))))-1, 0)]
}

// Print writes it for people.
func (s Summary) Print(w io.Writer) error {
	fmt.Fprintf(w, "%d attempts in %v from %s; files: %d, clients: %d, nodes: %d, retries: %d\n",
		s.Total.Attempts, s.Span.Round(time.Millisecond), s.Begin.Format(time.RFC3339), s.Files, s.Clients, len(s.Nodes), s.Retries)
	fmt.Fprintf(w, "a client at a node makes %.3g calls a second (median), a tenth of them less than %.3g\n", s.PairRateP50, s.PairRateP10)
	if s.Lost > 0 {
		fmt.Fprintf(w, "%d attempts are missing: the recorder could not keep up, or the disk was full\n", s.Lost)
	}
	for _, b := range s.Broken {
		fmt.Fprintf(w, "%s; what is before it is counted\n", b)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, part := range []struct {
		title string
		list  []Group
	}{{"node", s.Nodes}, {"method", s.Methods}, {"outcome", s.Outcomes}, {"", []Group{s.Total}}} {
		if part.title != "" {
			fmt.Fprintf(t, "\n%s\tattempts\tper second\tfailed\t%%\tp50\tp99\n", part.title)
		}
		for i, g := range part.list {
			if i == maxRows {
				fmt.Fprintf(t, "… %d more\n", len(part.list)-i)
				break
			}
			fmt.Fprintf(t, "%s\t%d\t%.4g\t%d\t%.3g\t%v\t%v\n", g.Name, g.Attempts, g.Rate, g.Failures,
				100*float64(g.Failures)/float64(max(g.Attempts, 1)), g.P50.Round(10*time.Microsecond), g.P99.Round(10*time.Microsecond))
		}
	}
	return t.Flush()
}

package scenario

import (
	"math"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// usual are the bounds that hold whatever is injected: nothing fails, nothing
// is carried out twice or acknowledged in vain, no innocent node is ejected,
// and users notice nothing.
func usual(r *harness.Run) map[string]float64 {
	return map[string]float64{
		"failed": 0, "duplicated": 0, "ghosts": 0, "lost": 0, "falseEjections": 0,
		"p50Ms": r.BaselineMs(50), "p99Ms": r.BaselineMs(99),
	}
}

// doomed sets the bounds for requests that must fail, of which so many may
// have been carried out.
func doomed(b map[string]float64, failed, ghosts float64) map[string]float64 {
	b["failed"], b["ghosts"] = failed, ghosts
	return b
}

// What a client has to see before it may call a node ill: as many calls as a
// sequential test needs that is wrong once in a million calls of a node whose
// error rate is a normal 2 % (Wald 1945: the threshold over the mean
// information of a call).
const (
	normalErrors = 0.02
	falseAlarm   = 1e6
)

// callsToTell is that number, on average, for a node that fails this share of
// its calls.
func callsToTell(errors float64) float64 {
	information := errors * math.Log(errors/normalErrors)
	if errors < 1 {
		information += (1 - errors) * math.Log((1-errors)/(1-normalErrors))
	}
	return math.Log(falseAlarm) / information
}

// clients is how many learn for themselves.
func clients(r *harness.Run) float64 {
	if r.Info.Beside {
		return float64(r.Plan.Processes)
	}
	return float64(r.Plan.Processes * r.Plan.Clients)
}

// unkeyedPosts is the share of the requests that must not be repeated.
func unkeyedPosts(r *harness.Run) float64 {
	if r.Info.Keyed || len(r.Shots) == 0 {
		return 0
	}
	posts := 0
	for i := range r.Shots {
		if r.Shots[i].Route == harness.Post {
			posts++
		}
	}
	return float64(posts) / float64(len(r.Shots))
}

// silence is how long nobody can tell a node that has gone silent from a slow
// one.
func silence(r *harness.Run) time.Duration {
	return time.Duration(r.SilenceMs() * float64(time.Millisecond))
}

// into is how many requests of the run go to one of n nodes between two times.
func into(r *harness.Run, from, to time.Duration, n int) float64 {
	due := 0
	for i := range r.Shots {
		if d := r.Shots[i].Due; d >= from && d < to {
			due++
		}
	}
	return float64(due) / float64(n)
}

// stuck sets the bounds for nodes that go silent at a step for longer than a
// caller waits: the unkeyed POSTs that are on them, or come to them before
// anybody can tell, must fail. The share is that of the clients that are hit.
func stuck(b map[string]float64, r *harness.Run, stepIndex int, share float64) map[string]float64 {
	if stepIndex >= len(r.Steps) {
		return b
	}
	at := r.Steps[stepIndex].Begin
	more := into(r, at, at+silence(r), r.Plan.Nodes) * unkeyedPosts(r) * share
	failed := float64(r.InFlightPosts(stepIndex)) + more
	b["failed"] += failed
	slowTail(b, r, failed, r.Plan.Timeout)
	delete(b, "ghosts") // which of them are carried out later nobody can know
	return b
}

// slowTail raises the bound of p99 if so many requests must take that long
// that they are more than 1 % of those in the window.
func slowTail(b map[string]float64, r *harness.Run, n float64, latency time.Duration) {
	from, to := r.Window()
	if n > into(r, from, to, 1)/100 {
		b["p99Ms"] = max(b["p99Ms"], float64(latency)/float64(time.Millisecond))
	}
}

package harness

import (
	"math"
	"slices"
	"time"
)

// Report is the document that `holdfast failover -json` prints. Times are in
// milliseconds; null means that it did not happen within the run.
type Report struct {
	SchemaVersion int            `json:"schemaVersion"`
	Seed          uint64         `json:"seed"`
	Fault         Fault          `json:"fault"`
	Nodes         int            `json:"nodes"`
	Rate          float64        `json:"rate"`
	DurationMs    float64        `json:"durationMs"`
	WorkMs        float64        `json:"workMs"`
	TimeoutMs     float64        `json:"timeoutMs"`
	Stacks        []*StackReport `json:"stacks"`
	Violations    []string       `json:"violations"` // what was asserted and did not hold; empty: the run passed
}

// StackReport is what happened to one stack.
type StackReport struct {
	Name               string        `json:"name"`
	Requests           int           `json:"requests"`
	Failed             int           `json:"failed"`             // not answered 200, unsent ones included
	Duplicated         int           `json:"duplicated"`         // Σ over requests of max(0, effects − 1), from the ledger
	Ghosts             int           `json:"ghosts"`             // the effect is there and the caller saw an error
	InFlightAtFault    int           `json:"inFlightAtFault"`    // requests, see inFlight
	AttemptsOnDeadNode int           `json:"attemptsOnDeadNode"` // begun by the client while the fault was in force
	RetriedNotSent     int           `json:"retriedNotSent"`     // retries of attempts that provably never reached the node
	TimeToEjectMs      *float64      `json:"timeToEjectMs"`      // from the beginning of the fault
	TimeToReadmitMs    *float64      `json:"timeToReadmitMs"`    // from the moment the node was back
	Routes             []RouteReport `json:"routes"`

	Victim               string         `json:"victim"`               // the instance to which the fault was done
	FailedPosts          int            `json:"failedPosts"`          // the POSTs of failed
	FailedPostsAmbiguous int            `json:"failedPostsAmbiguous"` // of these, answered "may have been carried out"
	InFlightPosts        int            `json:"inFlightPosts"`        // the POSTs of inFlightAtFault
	PendingPosts         int            `json:"pendingPosts"`         // POSTs on the victim at any moment of the fault
	Lost                 int            `json:"lost"`                 // answered 200, and no effect in the ledger
	Retries              int            `json:"retries"`              // attempts but the first of each call, as the client says
	AttemptsSeen         map[string]int `json:"attemptsSeen"`         // by the servers, from the ledger, by node
	Ejections            map[string]int `json:"ejections"`            // by node
	TornRecords          int            `json:"tornRecords"`          // ledger lines that the kill has torn
	Load                 LoadReport     `json:"load"`
	Timeline             Timeline       `json:"timeline"`
}

// RouteReport is one route in one phase. Latencies count from when a request
// was due to its answer, failures included.
type RouteReport struct {
	Route    string  `json:"route"`
	Phase    Phase   `json:"phase"`
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"`
	P50Ms    float64 `json:"p50Ms"`
	P99Ms    float64 `json:"p99Ms"`
	MaxMs    float64 `json:"maxMs"`
}

// LoadReport is whether the load was what it should be.
type LoadReport struct {
	LagP99Ms float64 `json:"lagP99Ms"` // how late requests went out
	LagMaxMs float64 `json:"lagMaxMs"`
	Unsent   int     `json:"unsent"` // too many were under way
	Valid    bool    `json:"valid"`  // false: the load generator could not keep up, believe no latency
}

// maxLag is the p99 lag from which a run is invalid.
const maxLag = 50 * time.Millisecond

// Timeline is the run in slices of equal length.
type Timeline struct {
	BucketMs float64          `json:"bucketMs"`
	Failed   []int            `json:"failed"`   // by when the request was due
	Attempts map[string][]int `json:"attempts"` // by node, as the client began them
	DownMs   float64          `json:"downMs"`   // when the fault began
	BackMs   float64          `json:"backMs"`   // when the node was back
}

func ms(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// percentile returns the smallest value that the share q of sorted does not
// exceed; 0 of none.
func percentile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(q*float64(len(sorted))-1e-9)) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

// routes sums up each route in each phase.
func (r *run) routes() (list []RouteReport) {
	for _, route := range Routes {
		for _, phase := range Phases {
			rr := RouteReport{Route: route.String(), Phase: phase}
			var latencies []time.Duration
			for i := range r.shots {
				s := &r.shots[i]
				if s.Route != route || r.phase(s.Due) != phase {
					continue
				}
				rr.Requests++
				if !s.OK {
					rr.Failed++
				}
				if !s.Unsent {
					latencies = append(latencies, s.Latency())
				}
			}
			slices.Sort(latencies)
			rr.P50Ms, rr.P99Ms, rr.MaxMs = ms(percentile(latencies, 0.5)), ms(percentile(latencies, 0.99)), ms(percentile(latencies, 1))
			list = append(list, rr)
		}
	}
	return list
}

func (r *run) load() LoadReport {
	var l LoadReport
	var lags []time.Duration
	for i := range r.shots {
		if s := &r.shots[i]; s.Unsent {
			l.Unsent++
		} else {
			lags = append(lags, s.Sent-s.Due)
		}
	}
	slices.Sort(lags)
	p99 := percentile(lags, 0.99)
	l.LagP99Ms, l.LagMaxMs = ms(p99), ms(percentile(lags, 1))
	l.Valid = p99 <= maxLag && l.Unsent == 0
	return l
}

// timelineBucket is the length of a slice, and maxBuckets how many there are
// at most: longer runs have longer slices.
const (
	timelineBucket = 250 * time.Millisecond
	maxBuckets     = 96
)

func (r *run) timeline() Timeline {
	bucket := timelineBucket
	for r.cfg.Duration/bucket > maxBuckets {
		bucket *= 2
	}
	n := int((r.cfg.Duration + bucket - 1) / bucket)
	t := Timeline{
		BucketMs: ms(bucket), Failed: make([]int, n), Attempts: map[string][]int{},
		DownMs: ms(r.down.begin.Sub(r.start)), BackMs: ms(r.back.end.Sub(r.start)),
	}
	for _, node := range r.nodes {
		t.Attempts[node.node.ID] = make([]int, n)
	}
	for i := range r.shots {
		if s := &r.shots[i]; !s.OK {
			t.Failed[int(s.Due/bucket)]++
		}
	}
	for _, e := range r.entries {
		at := e.Start.Sub(r.start)
		if e.Kind != TriedNode || at < 0 || int(at/bucket) >= n {
			continue
		}
		if row := t.Attempts[e.Node]; row != nil {
			row[int(at/bucket)]++
		}
	}
	return t
}

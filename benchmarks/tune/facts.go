package tune

import (
	"time"
)

// Facts are what is normal: the part of the data that a recommendation is made
// of.
type Facts struct {
	Source  string        `json:"source"`
	Span    time.Duration `json:"spanNs"`
	Clients int           `json:"clients"`
	Nodes   int           `json:"nodes"`
	Calls   float64       `json:"calls"` // attempts at nodes
	Rate    float64       `json:"rate"`  // of them a second, in all

	// PairRate is how many calls a second one client makes at one node: a tenth
	// of the pairs make fewer.
	PairRate   float64 `json:"pairRateP10"`
	PairMedian float64 `json:"pairRateP50"`
	PairCalls  float64 `json:"pairCallsP10"` // in the data

	Normal Rate     `json:"normal"` // failures of a healthy node, incidents left out, a burst counted once
	Worst  NodeRate `json:"worst"`  // of the node with the highest bound; Normal if none differs for sure

	// Bursts: failures that end together, begun before the first of them.
	Burst     time.Duration `json:"burstNs"`   // within this time of each other
	BurstMean float64       `json:"burstMean"` // failures in one
	Bursty    bool          `json:"bursty"`    // more than chance explains

	// Follow is the share of the calls that fail, by how many calls there were
	// since the last failure, where it is more than of all: failures that come
	// in clusters, although bursts are counted once.
	Follow []float64 `json:"follow,omitempty"`
	// Again is the same after a failure that had followed another itself.
	Again []float64 `json:"again,omitempty"`

	// Dispersion is by how much the variance of failures in a stretch of calls
	// exceeds that of ones that only Follow ties together; at least 1.
	Dispersion float64 `json:"dispersion"`
	// DispersionError is the standard error of its measurement; 0: it was not
	// measured.
	DispersionError float64 `json:"dispersionError,omitempty"`

	Latency Latency  `json:"latency"`
	Methods []Method `json:"methods"`

	Incidents []Incident `json:"incidents"` // left out of Normal
	Masked    float64    `json:"masked"`    // share of the calls that are left out

	Spare  float64 `json:"spare,omitempty"`  // as Wishes.Spare, where the data say
	Lost   uint64  `json:"lost,omitempty"`   // attempts that the recorders could not write
	Broken int     `json:"broken,omitempty"` // files that end before their time
	Given  bool    `json:"given"`            // by a description: nothing was measured
}

// NodeRate is a node's.
type NodeRate struct {
	Node string `json:"node"`
	Rate
}

// Method is what is called.
type Method struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
	Rate  float64 `json:"rate"` // of failures, incidents left out
}

// Latency is that of attempts that did not fail, incidents left out.
type Latency struct {
	Calls  int             `json:"calls"`
	P50    time.Duration   `json:"p50Ns"`
	P99    time.Duration   `json:"p99Ns"`
	P999   time.Duration   `json:"p999Ns"`
	Tail   float64         `json:"tail"`    // the highest quantile of 0.99, 0.995, 0.999 with a bound in the data; 0: none
	Bound  time.Duration   `json:"boundNs"` // its upper bound, 95 %
	Sample []time.Duration `json:"-"`       // 201 quantiles, from the least to the most
}

// Incident is a stretch in which a node, or all, failed more than chance
// explains.
type Incident struct {
	Node string        `json:"node"` // empty: all
	From time.Time     `json:"from"`
	For  time.Duration `json:"forNs"`
	Rate float64       `json:"rate"`
}

package board

import (
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// SchemaVersion is that of [State] as JSON. It changes when a field is renamed,
// removed or means something else; new fields may come without.
const SchemaVersion = 1

// State is what there is to see at one instant.
type State struct {
	SchemaVersion int       `json:"schemaVersion"`
	At            time.Time `json:"at"`
	Steering      bool      `json:"steering"`            // orders are taken
	Processes     []Process `json:"processes,omitempty"` // of a Gathering
	Services      []Service `json:"services"`            // by name; of a Gathering first by process
	Log           []Entry   `json:"log"`                 // the last 500, the oldest first
}

// Service is one client, with its nodes.
type Service struct {
	Name     string               `json:"name"`              // as configured, and "name~2" for a second client of it
	Process  string               `json:"process,omitempty"` // of a Gathering: whose it is
	Settings *resilience.Settings `json:"settings,omitempty"`
	Refused  *Refusal             `json:"settingsRefused,omitempty"` // what their source has now is wrong, and those above stay
	Trial    *Candidate           `json:"candidate,omitempty"`       // settings that run beside those above
	Calls    Window               `json:"calls"`
	Attempts Window               `json:"attempts"`          // of all nodes together
	InFlight int                  `json:"inFlight"`          // calls within the bulkhead; attempts where there is none
	Peak     int                  `json:"inFlightPeak"`      // the most of these in the last ten seconds; without a bulkhead, at the instants that somebody looked
	Breaker  *Breaker             `json:"breaker,omitempty"` // above the retries
	Budget   *Budget              `json:"budget,omitempty"`  // none: retries are not bounded
	Nodes    []Node               `json:"nodes"`             // in the source's order
}

// Refusal is when and why settings were not taken.
type Refusal struct {
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

// Budget is the retries that can be paid for.
type Budget struct {
	Tokens float64 `json:"tokens"` // at once
	Most   float64 `json:"most"`   // that can be saved up
}

// Node is one node of a service, with what this client knows of it.
type Node struct {
	ID        string     `json:"id"`
	Addr      string     `json:"addr,omitempty"`
	Zone      string     `json:"zone,omitempty"`
	Ejected   bool       `json:"ejected"`
	NotReady  bool       `json:"notReady,omitempty"`
	InFlight  int        `json:"inFlight"`
	Score     float64    `json:"score"`
	Threshold float64    `json:"threshold"`
	RetryAt   *time.Time `json:"retryAt,omitempty"` // when it may next be tried, if it is ejected
	OwnRule   bool       `json:"ownRule,omitempty"` // its breaker trips by a rule of its own, not at the ejector's word alone
	Breaker   *Breaker   `json:"breaker,omitempty"`
	Attempts  Window     `json:"attempts"`
	History   []Change   `json:"history,omitempty"` // the last 20 changes, the oldest first

	LastEjection *Ejection `json:"lastEjection,omitempty"`
	Would        *Would    `json:"would,omitempty"` // how it would stand by the candidate settings
}

// Breaker is how a breaker stands. What its engine does not tell is missing.
type Breaker struct {
	State     string     `json:"state"` // "closed", "open", "half-open"
	Mode      string     `json:"mode,omitempty"`
	Shadow    bool       `json:"shadow,omitempty"`
	Rule      string     `json:"rule,omitempty"`
	MinCalls  int        `json:"minCalls,omitempty"`
	ErrorRate float64    `json:"errorRate,omitempty"`
	OpenFor   float64    `json:"openForMs,omitempty"`
	Score     float64    `json:"score"`
	Threshold float64    `json:"threshold"`
	RetryAt   *time.Time `json:"retryAt,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
	Reason    *Reason    `json:"reason,omitempty"`

	WouldReject uint64 `json:"wouldReject,omitempty"` // calls that it let pass only because it is a shadow
}

// Reason is breaker.Reason.
type Reason struct {
	Cause     string  `json:"cause"`
	Rule      string  `json:"rule,omitempty"`
	Score     float64 `json:"score,omitempty"`
	Threshold float64 `json:"threshold,omitempty"`
	Calls     uint64  `json:"calls,omitempty"`
	Failures  uint64  `json:"failures,omitempty"`
	Note      string  `json:"note,omitempty"`
}

// Window counts how calls or attempts ended in the last ten whole seconds.
type Window struct {
	Total          uint64 `json:"total"`
	Succeeded      uint64 `json:"succeeded"`
	Answered       uint64 `json:"answered"` // with the service's own error, such as a 404: nobody's failure
	Failed         uint64 `json:"failed"`
	TimedOut       uint64 `json:"timedOut"`
	Rejected       uint64 `json:"rejected"` // by the bulkhead; of attempts, by the node, for load
	ShortCircuited uint64 `json:"shortCircuited"`
	Abandoned      uint64 `json:"abandoned"` // by the caller

	Ambiguous      uint64 `json:"ambiguous"` // of these calls, those that may have been carried out in spite of their error
	Retries        uint64 `json:"retries"`   // of these attempts, those after a call's first
	FellBack       uint64 `json:"fellBack"`  // of the calls that failed, those that a fallback answered …
	FallbackFailed uint64 `json:"fallbackFailed"`

	Latency Latency `json:"latency"`
}

// Errors is what counts as an error: all but successes, answers, and what the
// caller abandoned.
func (w *Window) Errors() uint64 { return w.Failed + w.TimedOut + w.Rejected + w.ShortCircuited }

// Latency is that of what ran, in the last minute: milliseconds, within 3 %.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"meanMs"`
	Min   float64 `json:"minMs"`
	P25   float64 `json:"p25Ms"`
	P50   float64 `json:"p50Ms"`
	P75   float64 `json:"p75Ms"`
	P90   float64 `json:"p90Ms"`
	P95   float64 `json:"p95Ms"`
	P99   float64 `json:"p99Ms"`
	P995  float64 `json:"p995Ms"`
	Max   float64 `json:"maxMs"`
}

// Package sim runs a system of clients and nodes in virtual time: a
// discrete-event simulation in which the clients are the production code.
// What picks nodes, retries and ejects is resilience.Client, unchanged, over a
// virtual clock; what is made up is the world around it: nodes as queues with
// servers, connections, service times, failures by a script.
//
//	result, err := sim.Run(sim.System{Clients: 1000, Nodes: 100, Rate: 20_000}, 1)
//
// The same System and seed give the same [Result], byte for byte. What comes
// when, what it asks for and how long a node works on it are drawn from the
// seed alone, so that other clients ([System.Client]) see the same arrivals
// and the same luck.
package sim

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// System is what is simulated: pure data, read from YAML by [Read], or made of
// a benchmark's plan by [FromPlan]. A zero field means its default; the zero
// System is the one that `holdfast bench` runs, with nothing happening in it.
type System struct {
	// Name is printed, and means nothing.
	Name string `json:"name,omitempty" yaml:"name"`

	Nodes   int `json:"nodes" yaml:"nodes"`     // default 5, at most 10 000
	Clients int `json:"clients" yaml:"clients"` // each with a view of its own; default 2, at most 100 000

	// Rate is how many calls a second all clients together make: Poisson
	// arrivals, open-loop, each of a client at random. Default 200.
	Rate float64 `json:"rate" yaml:"rate"`
	// Surges are times in which it is another.
	Surges []Surge `json:"surges,omitempty" yaml:"surges"`

	// Methods are what is called. Default: "get", safe, and "post",
	// non-idempotent, half of the calls each.
	Methods []Method `json:"methods" yaml:"methods"`

	// Service is what a node does with an attempt.
	Service Service `json:"service" yaml:"service"`
	// Wire is what an attempt takes besides, there and back together; a quarter
	// of it more where a connection has to be made. Default 500 µs; negative:
	// nothing.
	Wire time.Duration `json:"wireNs" yaml:"wire"`
	// Timeout is how long a caller waits for its call. Default 2 s; negative:
	// for ever.
	Timeout time.Duration `json:"timeoutNs" yaml:"timeout"`

	// The run: the time until anything happens, the time in which it does, and
	// the time after it. Default 3 s, 8 s and 6 s.
	Warm    time.Duration `json:"warmNs" yaml:"warm"`
	Fault   time.Duration `json:"faultNs" yaml:"fault"`
	Recover time.Duration `json:"recoverNs" yaml:"recover"`

	// Faults are the script: what happens to the nodes. Default: nothing.
	Faults []Fault `json:"faults,omitempty" yaml:"faults"`

	// Client is how all clients are made. Default: holdfast's.
	Client Client `json:"client" yaml:"client"`

	replay *replay // a measured run to do again; nil: none
}

// Surge is a time in which the rate is Times as high.
type Surge struct {
	From  time.Duration `json:"fromNs" yaml:"from"`
	To    time.Duration `json:"toNs" yaml:"to"`
	Times float64       `json:"times" yaml:"times"`
}

// Method is a kind of call.
type Method struct {
	Name string `json:"name" yaml:"name"`
	// Share is its part of the calls, in relation to the others'. Default 1.
	Share float64 `json:"share" yaml:"share"`
	// Kind is what a client knows of it. All but the safe have an effect on
	// the server half way through; that of a keyed call happens once.
	Kind retry.Idempotency `json:"kind" yaml:"kind"`
	// Errors is the share of the attempts at a healthy node that are answered
	// with an error, half of them after their effect. Default 0.
	Errors float64 `json:"errors,omitempty" yaml:"errors"`
	// Burst is how many such failures come together on average: the first,
	// and the next that the node begins for that client within 10 ms. Where
	// fewer come in that time, fewer fail than Errors says. Default 1: each on
	// its own.
	Burst float64 `json:"burst,omitempty" yaml:"burst"`
	// Slow is how many times as long it takes. Default 1.
	Slow float64 `json:"slow,omitempty" yaml:"slow"`
}

// Service is a node: workers behind a bounded queue, first in first out. It
// goes on with what its caller has given up, as services do.
type Service struct {
	// Mean and CV, the coefficient of variation, are those of a log-normal
	// service time. Default 10 ms and 0.3; a negative CV: always Mean.
	Mean time.Duration `json:"meanNs" yaml:"mean"`
	CV   float64       `json:"cv,omitempty" yaml:"cv"`
	// Sample are service times to draw from, in place of Mean and CV: as
	// quantiles of equal distance, in between which times are interpolated.
	Sample []time.Duration `json:"sampleNs,omitempty" yaml:"sample"`

	Workers int `json:"workers,omitempty" yaml:"workers"` // attempts served at once; 0: no bound
	Queue   int `json:"queue,omitempty" yaml:"queue"`     // attempts that wait for a worker; more are answered 503. With Workers only
}

// Deed is what a [Fault] does.
type Deed string

// The deeds.
const (
	Kill   Deed = "kill"   // the process ends, and connections with it; then it is started again
	Drain  Deed = "drain"  // it says for 200 ms that it is leaving, ends what it has begun, refuses what is new
	Refuse Deed = "refuse" // its port is closed while it lives
	Stop   Deed = "stop"   // it is frozen: it takes connections, and is silent
	Cut    Deed = "cut"    // the packets between it and some clients vanish
	Sicken Deed = "sicken" // it gets the illness that the other fields tell
)

// Fault is something that happens to nodes, and ends.
type Fault struct {
	At    time.Duration `json:"atNs" yaml:"at"`                 // from the beginning of the run
	For   time.Duration `json:"forNs,omitempty" yaml:"for"`     // how long; 0: to the end of the run
	Do    Deed          `json:"do" yaml:"do"`                   //
	Nodes []int         `json:"nodes,omitempty" yaml:"nodes"`   // to whom, from 0; empty: to all
	Share float64       `json:"share,omitempty" yaml:"clients"` // of Cut: the share of the clients that it hits, from the first; 0: all

	// Innocent says that the nodes are no worse than the others, or back at
	// once: who ejects one for this is wrong.
	Innocent bool `json:"innocent,omitempty" yaml:"innocent"`

	// The illness, of Sicken. A node has one at a time: the last begun.
	Slow     float64       `json:"slow,omitempty" yaml:"slow"`         // service times are so many times longer; 0: as usual
	Errors   float64       `json:"errors,omitempty" yaml:"errors"`     // share of the attempts that end in an error, half of them after their effect
	Method   string        `json:"method,omitempty" yaml:"method"`     // errors hit this method only; empty: all
	Lose     float64       `json:"lose,omitempty" yaml:"lose"`         // share of the attempts that are carried out and whose reply is lost
	Silent   bool          `json:"silent,omitempty" yaml:"silent"`     // a lost reply leaves the connection open, instead of closing it
	Capacity float64       `json:"capacity,omitempty" yaml:"capacity"` // share of the workers that are left; 0: all
	Die      harness.Point `json:"die,omitempty" yaml:"die"`           // where the next call with an effect kills the process
}

// Client is how the clients of a run are made. The zero Client is holdfast
// with its default settings.
type Client struct {
	// Stack is "holdfast" (default) or one of [Peers].
	Stack string `json:"stack" yaml:"stack"`
	// Settings are holdfast's. A peer has the defaults of its documentation.
	Settings resilience.Settings `json:"settings,omitzero" yaml:"settings"`
}

// String names the client in tables.
func (c Client) String() string {
	if c.Stack == "" {
		return Holdfast
	}
	return c.Stack
}

// Holdfast is the name of our own client.
const Holdfast = "holdfast"

// Total is how long the run takes.
func (s System) Total() time.Duration { return s.Warm + s.Fault + s.Recover }

// WithDefaults returns s with its zero fields filled in.
func (s System) WithDefaults() System {
	orElse(&s.Nodes, 5)
	orElse(&s.Clients, 2)
	orElse(&s.Rate, 200)
	orElse(&s.Wire, 500*time.Microsecond)
	orElse(&s.Timeout, 2*time.Second)
	orElse(&s.Warm, 3*time.Second)
	orElse(&s.Fault, 8*time.Second)
	orElse(&s.Recover, 6*time.Second)
	orElse(&s.Client.Stack, Holdfast)
	if s.Service.Mean == 0 {
		s.Service.Mean = 10 * time.Millisecond
		orElse(&s.Service.CV, 0.3)
	}
	if len(s.Methods) == 0 {
		s.Methods = []Method{{Name: "get", Kind: retry.Safe}, {Name: "post", Kind: retry.NonIdempotent}}
	}
	s.Methods = append([]Method(nil), s.Methods...)
	for i := range s.Methods {
		m := &s.Methods[i]
		orElse(&m.Name, fmt.Sprintf("method-%d", i+1))
		orElse(&m.Share, 1)
		orElse(&m.Burst, 1)
		orElse(&m.Slow, 1)
	}
	return s
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

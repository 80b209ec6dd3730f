package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Plan is what [Bench] does in one run: what is started, the load on it, and
// what happens to the instances when. Package scenario makes plans. A zero
// field means its default.
type Plan struct {
	Nodes     int           `json:"nodes"`             // hello instances, node-1 to node-N; default 5
	Processes int           `json:"processes"`         // of clients; default 2
	Clients   int           `json:"clients,omitempty"` // in each of these processes, each a stack of its own; default 1
	Rate      float64       `json:"rate"`              // requests a second in all; default 200
	Mix       []float64     `json:"mix,omitempty"`     // parts of Get, Post and List; default half Get, half Post
	Surges    []Surge       `json:"surges,omitempty"`  // when the rate is another
	Warm      time.Duration `json:"warmNs"`            // until anything happens; default 3 s
	Fault     time.Duration `json:"faultNs"`           // in which it happens; default 8 s
	Recover   time.Duration `json:"recoverNs"`         // after it; default 5 s
	Timeout   time.Duration `json:"timeoutNs"`         // of a call, as its caller has it; default 2 s
	Service   Service       `json:"service"`           // default: 10 ms on average, CV 0.3
	Network   bool          `json:"network,omitempty"` // instances and client processes in network namespaces of their own, so that links can be cut
	Steps     []Step        `json:"steps"`             // in the order of At
	Seed      uint64        `json:"seed"`
}

// Deed is what a [Step] does.
type Deed string

// The deeds.
const (
	DoKill     Deed = "kill"     // SIGKILL
	DoDrain    Deed = "drain"    // SIGTERM: it drains, and ends
	DoStart    Deed = "start"    // the ended instance is started again on its port
	DoStop     Deed = "stop"     // SIGSTOP
	DoContinue Deed = "continue" // SIGCONT
	DoRefuse   Deed = "refuse"   // its port is closed while it lives
	DoAdmit    Deed = "admit"    // its port is open again
	DoSicken   Deed = "sicken"   // it gets Step.Illness in place of what it had
	DoCut      Deed = "cut"      // packets between it and Step.From are dropped in silence
	DoMend     Deed = "mend"     // they are no more
)

// Step is one thing that is done to instances from outside.
type Step struct {
	At       time.Duration `json:"atNs"` // from the beginning of the load
	Do       Deed          `json:"do"`
	Nodes    []int         `json:"nodes"`              // to whom, from 0
	Illness  Illness       `json:"illness,omitzero"`   // of DoSicken
	From     []int         `json:"from,omitempty"`     // of DoCut and DoMend: the client processes; empty: all
	Innocent bool          `json:"innocent,omitempty"` // the node is no worse than others, or back at once: who ejects it for this is wrong
}

// Total is how long the load lasts.
func (p Plan) Total() time.Duration { return p.Warm + p.Fault + p.Recover }

// Load is what a client process of the plan puts on the instances. p must have
// its defaults.
func (p Plan) Load(process int) Workload {
	return Workload{
		Seed: p.Seed*1009 + uint64(process), Rate: p.Rate / float64(p.Processes), Duration: p.Total(), Mix: p.Mix, Surges: p.Surges,
		Prefix: fmt.Sprintf("c%d-", process+1), Clients: p.Clients,
	}
}

// WithDefaults returns p with its zero fields filled in.
func (p Plan) WithDefaults() Plan {
	orElse(&p.Nodes, 5)
	orElse(&p.Processes, 2)
	orElse(&p.Clients, 1)
	orElse(&p.Rate, 200)
	orElse(&p.Warm, 3*time.Second)
	orElse(&p.Fault, 8*time.Second)
	orElse(&p.Recover, 5*time.Second)
	orElse(&p.Timeout, 2*time.Second)
	if p.Service.Mean == 0 {
		p.Service.Mean, p.Service.CV = 10*time.Millisecond, 0.3
	}
	p.Service.Seed = p.Seed
	return p
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate returns all that is wrong, joined.
func (p Plan) Validate() error {
	p = p.WithDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(p.Nodes >= 1 && p.Nodes <= 50, "nodes %d: want 1 to 50", p.Nodes)
	check(p.Processes >= 1 && p.Processes <= 50, "processes %d: want 1 to 50", p.Processes)
	check(p.Clients >= 1 && p.Clients <= 10_000, "clients %d: want 1 to 10000", p.Clients)
	check(p.Rate > 0 && p.Rate <= 20_000, "rate %v: want up to 20000 requests a second", p.Rate)
	check(len(p.Mix) <= len(AllRoutes), "mix: %d parts: want at most %d", len(p.Mix), len(AllRoutes))
	check(p.Warm > 0 && p.Fault > 0 && p.Recover > 0, "warm %v, fault %v, recover %v: want all above 0", p.Warm, p.Fault, p.Recover)
	check(p.Timeout >= 10*time.Millisecond, "timeout %v: want 10ms or more", p.Timeout)
	check(p.Service.Mean > 0 && p.Service.CV >= 0 && p.Service.Workers >= 0 && p.Service.Queue >= 0, "service %+v: want nothing negative", p.Service)
	for i, s := range p.Steps {
		check(s.At >= 0 && s.At < p.Total(), "steps[%d].at %v: want it within the run's %v", i, s.At, p.Total())
		check(i == 0 || p.Steps[i-1].At <= s.At, "steps[%d].at %v: want it after steps[%d]", i, s.At, i-1)
		check(len(s.Nodes) > 0, "steps[%d].nodes: none", i)
		for _, n := range s.Nodes {
			check(n >= 0 && n < p.Nodes, "steps[%d].nodes %d: want 0 to %d", i, n, p.Nodes-1)
		}
		check(p.Network || s.Do != DoCut && s.Do != DoMend, "steps[%d]: %s: want a plan with a network", i, s.Do)
		if err := s.Illness.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("steps[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// String says what was done, to whom.
func (s Step) String() string {
	names := make([]string, len(s.Nodes))
	for i, n := range s.Nodes {
		names[i] = fmt.Sprintf("hello-%d", n+1)
	}
	text := strings.Join(names, ", ") + ": " + string(s.Do)
	if s.Illness != (Illness{}) {
		what, _ := json.Marshal(s.Illness) // it holds numbers and words
		text += " " + string(what)
	}
	return text
}

// Possible returns why the plan cannot be carried out on this machine, or nil.
func (p Plan) Possible() error {
	if p.Network {
		return NetworkPossible()
	}
	for _, s := range p.Steps {
		if err := s.Do.possible(); err != nil {
			return err
		}
	}
	return nil
}

package harness

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Arrival is one request of the load: when it is due, counted from the
// beginning, and what it asks for.
type Arrival struct {
	Due    time.Duration
	Route  Route
	ID     string
	Client int // which of the clients of its process makes it
}

// Workload is what a load is drawn from.
type Workload struct {
	Seed     uint64        `json:"seed"`
	Rate     float64       `json:"rate"` // requests a second in all
	Duration time.Duration `json:"durationNs"`
	Mix      []float64     `json:"mix,omitempty"`    // parts of each of AllRoutes; empty: half Get, half Post
	Surges   []Surge       `json:"surges,omitempty"` // when the rate is another
	Prefix   string        `json:"prefix,omitempty"` // of the requests' IDs
	Clients  int           `json:"clients,omitempty"`
}

// Surge is a time in which the rate is Times as high.
type Surge struct {
	From  time.Duration `json:"fromNs"`
	To    time.Duration `json:"toNs"`
	Times float64       `json:"times"`
}

func (w Workload) rate(at time.Duration) float64 {
	for _, s := range w.Surges {
		if at >= s.From && at < s.To {
			return w.Rate * s.Times
		}
	}
	return w.Rate
}

// Arrivals draws Poisson arrivals. Equal seeds give equal arrivals.
func (w Workload) Arrivals() []Arrival {
	mix := w.Mix
	if len(mix) == 0 {
		mix = []float64{1, 1}
	}
	total := 0.0
	for _, part := range mix {
		total += part
	}
	highest := w.Rate
	for _, s := range w.Surges {
		highest = max(highest, w.Rate*s.Times)
	}
	rng := rand.New(rand.NewPCG(w.Seed, 0x686f6c6466617374)) // any fixed stream
	var list []Arrival
	for due := time.Duration(0); ; {
		due += time.Duration(rng.ExpFloat64() / highest * float64(time.Second))
		if due >= w.Duration {
			return list
		}
		if len(w.Surges) > 0 && rng.Float64()*highest >= w.rate(due) { // thinned, it is still Poisson
			continue
		}
		route, at := 0, rng.Float64()*total
		for at -= mix[0]; at >= 0 && route < len(mix)-1; at -= mix[route] {
			route++
		}
		a := Arrival{Due: due, Route: Route(route), ID: fmt.Sprintf("%s%s%06d", w.Prefix, routes[route].letter, len(list))}
		if w.Clients > 1 {
			a.Client = rng.IntN(w.Clients)
		}
		list = append(list, a)
	}
}

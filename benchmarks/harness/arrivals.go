package harness

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Arrival is one request of the load: when it is due, counted from the
// beginning, and what it asks for.
type Arrival struct {
	Due   time.Duration
	Route Route
	ID    string
}

// Arrivals draws Poisson arrivals at rate a second in all, half of them on
// each route, for the given time. Equal seeds give equal arrivals.
func Arrivals(seed uint64, rate float64, duration time.Duration) []Arrival {
	rng := rand.New(rand.NewPCG(seed, 0x686f6c6466617374)) // any fixed stream
	var list []Arrival
	for due := time.Duration(0); ; {
		due += time.Duration(rng.ExpFloat64() / rate * float64(time.Second))
		if due >= duration {
			return list
		}
		route := Route(rng.IntN(2))
		list = append(list, Arrival{due, route, fmt.Sprintf("%c%06d", "gp"[route], len(list))})
	}
}

package harness

import (
	"errors"
	"fmt"
	"time"
)

// Illness is what a living instance suffers from. The zero Illness is health.
// Chances are drawn by attempt and seed.
type Illness struct {
	Slow     float64 `json:"slow,omitempty"`     // service times are so many times longer; 0: as usual
	Errors   float64 `json:"errors,omitempty"`   // share of the attempts that end in an error, half of them after their effect
	Route    *Route  `json:"route,omitempty"`    // errors hit this method only; nil: all
	Lose     float64 `json:"lose,omitempty"`     // share of the attempts that are carried out and whose reply is lost
	Silent   bool    `json:"silent,omitempty"`   // a lost reply leaves the connection open, instead of closing it
	Capacity float64 `json:"capacity,omitempty"` // share of the workers that are left; 0: all
	Die      Point   `json:"die,omitempty"`      // where the next POST ends the process with SIGKILL
}

// Validate returns all that is wrong, joined.
func (i Illness) Validate() error {
	var errs []error
	share := func(name string, x float64) {
		if !(x >= 0 && x <= 1) {
			errs = append(errs, fmt.Errorf("%s %v: want 0 to 1", name, x))
		}
	}
	share("errors", i.Errors)
	share("lose", i.Lose)
	share("capacity", i.Capacity)
	if !(i.Slow == 0 || i.Slow >= 1 && i.Slow <= 1000) {
		errs = append(errs, fmt.Errorf("slow %v: want 1 to 1000 (0: as usual)", i.Slow))
	}
	return errors.Join(errs...)
}

func (i *Illness) slower() float64 {
	if i == nil || i.Slow == 0 {
		return 1
	}
	return i.Slow
}

// fate is what illness does to one attempt.
type fate struct{ fails, afterEffect, loses bool }

func (i *Illness) draw(s Service, req Request, node string) (f fate) {
	if i == nil {
		return f
	}
	if i.Errors > 0 && (i.Route == nil || *i.Route == req.Route) {
		dice := s.chance("error", req, node)
		f.fails, f.afterEffect = dice.Float64() < i.Errors, dice.IntN(2) == 0
	}
	f.loses = i.Lose > 0 && s.chance("lose", req, node).Float64() < i.Lose
	return f
}

// Luck is what chance holds for an attempt at a node: how long the node would
// work on it if it were well, and what the illness makes of it. It is for
// simulations, which have the same luck.
func (s Service) Luck(req Request, node string, i *Illness) (work time.Duration, fails, afterEffect, loses bool) {
	f := i.draw(s, req, node)
	return s.draw(req, node), f.fails, f.afterEffect, f.loses
}

package hystrix

import (
	"io"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// Nearest returns the CUSUM rule nearest to cfg: on a service that is dead it
// opens after exactly as many calls, and what opens the circuit by its share is
// what counts as broken. It does not want a volume of calls to see it, and it
// has no window by which failures of a service with little traffic are
// forgotten. [Compare] shows the two side by side. The error is that of
// [Native], or of a circuit that is turned off.
func Nearest(cfg CommandConfig) (breaker.CUSUM, error) {
	s, err := read(cfg)
	if err == nil && s.errPercent > 100 {
		err = &breaker.FieldError{Field: "CommandConfig.ErrorPercentThreshold", Value: s.errPercent, Want: "100 or less: more turns the circuit off"}
	}
	if err != nil {
		return breaker.CUSUM{}, err
	}
	return breaker.NearestCUSUM(s.volume, threshold(s.errPercent)), nil
}

// Compare prints the nearest CUSUM and how many calls pass, in the middle of
// 101 simulated runs, until either opens: at several error rates, independent
// failures, and all within the circuit's window.
func Compare(w io.Writer, cfg CommandConfig) error {
	nearest, err := Nearest(cfg)
	if err != nil {
		return err
	}
	set, _, err := Native(cfg)
	if err != nil {
		return err
	}
	set.Clock = clock.NewVirtual(1) // stands still
	return breaker.CompareCUSUM(w, set.Rule.String(), func() func(bool) bool { return opening(set) }, nearest)
}

// opening takes the results of calls, and says when the breaker opens.
func opening(cfg breaker.Config) func(failed bool) bool {
	b, err := breaker.New("", cfg)
	if err != nil { // Native makes none that New refuses
		panic(err)
	}
	return func(failed bool) bool {
		result := breaker.Success
		if failed {
			result = breaker.Failure
		}
		p, _, _ := b.TryAcquire(time.Time{})
		p.Done(breaker.Report{Result: result})
		return b.State() == breaker.Open
	}
}

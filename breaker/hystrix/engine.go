package hystrix

import (
	"errors"
	"strings"
	"sync"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/holdfast-go/holdfast/breaker"
)

// EngineConfig describes an [Engine]. The zero EngineConfig is good.
type EngineConfig struct {
	// Command is what the circuits go by. Only the volume, the error
	// percentage and the sleep window mean something to a breaker.
	Command CommandConfig

	// Max is how many circuits the engine makes, up to 10 000. Default 100.
	Max int

	// OnEvent, if not nil, hears every transition: in order, outside every
	// lock, and it may call the breaker.
	OnEvent func(breaker.Event)
}

// Engine makes breakers of the library's own circuits, for those who must keep
// them: for a client's service breaker (resilience.Config.ServiceEngine), for a
// breaker.Group, or on its own. Safe for concurrent use; make one with
// [NewEngine].
//
// A circuit costs two goroutines and some 25 kB, which nothing ever gives back,
// not even the library's Flush. So there are at most Max: names after those get
// native breakers of the same numbers from New, and [ErrNameRefused] from
// Circuit. A name that comes again gets the circuit that it had.
//
// Cured, as far as that is possible from outside, are: the success of a call
// that was admitted before the circuit opened, or of a probe that has taken
// longer than the sleep window, is kept from the library, and so does not close
// the circuit; an Ignored result is, too, and a probe that ends so makes place
// for another; a second Done does nothing; listeners may call the breaker.
//
// Not cured is what [Limits] declares to package breakertest, and:
//
//   - The circuit learns of results later, on a goroutine of its own, and
//     forgets those that come while two thousand wait.
//   - What remains of [JudgedWhenAsked], [LateErrors], [ProbeStarts] (probes do
//     not overlap) and [ProbeCounts].
//   - What is given to the library's SetLogger is called under locks, its own
//     and ours: it must not call the breaker.
//
// The library keeps circuits by name, for the whole process: the name's Do and
// another engine share it, and its configuration.
type Engine struct {
	cfg    EngineConfig
	set    settings
	native *breaker.Family

	mu       sync.Mutex
	circuits map[string]*circuit
}

var _ breaker.Engine = (*Engine)(nil)

// Limits are the cases of package breakertest that the library's circuits do
// not hold, with the reason: what a breakertest.Subject declares.
func Limits() map[string]string {
	return map[string]string{
		"goroutines":      "each circuit has two, which nothing ends",
		"now":             "it reads the real clock, whatever TryAcquire is told",
		"allocations":     "a result is sent to the circuit, and counted on a goroutine made for it",
		"listener-panics": "it opens when it is asked after the failure, on the asker's goroutine",
		"trip":            "it is no breaker.Tripper: nobody can open it",
		"reset":           "it is no breaker.Tripper: nobody can close it",
		"trip-is-heard":   "it is no breaker.Tripper",
	}
}

// NewEngine checks the configuration. The error lists everything wrong with
// it, as [*breaker.FieldError]s.
func NewEngine(cfg EngineConfig) (*Engine, error) {
	if cfg.Max == 0 {
		cfg.Max = 100
	}
	var errs []error
	if cfg.Max < 1 || cfg.Max > 10_000 {
		errs = append(errs, &breaker.FieldError{Field: "EngineConfig.Max", Value: cfg.Max, Want: "1 to 10000 (0: default 100)"})
	}
	set, err := read(cfg.Command)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	bc := set.breaker()
	bc.OnEvent = cfg.OnEvent
	native, err := breaker.NewFamily(bc)
	if err != nil {
		return nil, err
	}
	return &Engine{cfg: cfg, set: set, native: native, circuits: make(map[string]*circuit)}, nil
}

// New implements breaker.Engine: it is Circuit, or a native breaker for a name
// that is refused.
func (e *Engine) New(name string) breaker.Breaker {
	b, err := e.Circuit(name)
	if err != nil {
		return e.native.New(name)
	}
	return b
}

// Circuit returns the breaker of the library's circuit of that name, made if
// there is none. The error is [ErrNameRefused].
func (e *Engine) Circuit(name string) (breaker.Breaker, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.circuits[name]; c != nil {
		return c, nil
	}
	if len(e.circuits) >= e.cfg.Max || len(name) > maxName {
		return nil, ErrNameRefused
	}
	name = strings.Clone(name) // it may be part of something large
	hystrix.ConfigureCommand(name, e.set.config())
	cb, _, err := hystrix.GetCircuit(name)
	if err != nil {
		return nil, err
	}
	c := &circuit{name: name, set: e.set, library: cb}
	c.events.Listen = e.cfg.OnEvent
	e.circuits[name] = c
	return c, nil
}

package resilience

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// Settings are the numbers of a client: pure data that can be read from JSON
// or YAML (durations as "250ms"), compared, swept by a tuner and changed while
// the client runs ([Client.Update]). The zero Settings are good.
type Settings struct {
	// Attempts of a call in all, the first included. Default 3; 1: no
	// retries. At most 100.
	Attempts int `json:"attempts,omitempty" yaml:"attempts,omitempty"`

	// AttemptTimeout cuts an attempt where another is permitted and the
	// service as a whole does not take as long, and tells
	// the selector that the node is slow where not. 0: the time left before
	// the caller's deadline divided by the attempts left, no bound where there
	// is no deadline. Negative: off.
	AttemptTimeout time.Duration `json:"attemptTimeout,omitempty" yaml:"attemptTimeout,omitempty"`

	// Timeout bounds the whole call, retries and pauses included; the
	// caller's own deadline counts if it is sooner. 0: the caller's alone.
	Timeout time.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`

	// Await is how long after its start a call may wait for the service to be
	// back, if nothing of it was sent (no node could be reached) and its
	// attempts or the budget are used up. Those who wait ask nobody: every two
	// answers that others get let one of them make another attempt, the
	// longest waiting first, up to twice Attempts in all. Where no other call
	// asks, one of them gives up every 300 ms. Waiting takes a place in the
	// bulkhead, and a fallback answers after it. A method that was never
	// answered is not waited for. Default 1 s, within the call's deadline;
	// negative: no waiting, nor is there any where Attempts is 1.
	Await time.Duration `json:"await,omitempty" yaml:"await,omitempty"`

	// Backoff is the pause before a retry.
	Backoff BackoffSettings `json:"backoff,omitzero" yaml:"backoff,omitempty"`

	// Budget bounds retries to a share of the traffic.
	Budget BudgetSettings `json:"budget,omitzero" yaml:"budget,omitempty"`

	// Strategy chooses among the admitted nodes: "two-choices" (default),
	// "round-robin", "random", "weighted".
	Strategy string `json:"strategy,omitempty" yaml:"strategy,omitempty"`

	// Zone prefers the nodes of this zone while at least half of them can
	// take calls. Empty: no preference.
	Zone string `json:"zone,omitempty" yaml:"zone,omitempty"`

	// SlowStart is how long a new or readmitted node takes to its whole share
	// of the load. Default 10 s, negative: off.
	SlowStart time.Duration `json:"slowStart,omitempty" yaml:"slowStart,omitempty"`

	// Ejection is when a node is taken out because it does worse than its
	// peers.
	Ejection EjectionSettings `json:"ejection,omitzero" yaml:"ejection,omitempty"`

	// Breaker is how an ejected node comes back.
	Breaker BreakerSettings `json:"breaker,omitzero" yaml:"breaker,omitempty"`

	// ServiceBreaker, if not nil, adds a breaker above the retries, for the
	// service as a whole. Default: none.
	ServiceBreaker *RuleSettings `json:"serviceBreaker,omitempty" yaml:"serviceBreaker,omitempty"`

	// Bulkhead is how many calls may be under way at once. 0: no limit.
	Bulkhead int `json:"bulkhead,omitempty" yaml:"bulkhead,omitempty"`

	// TrustRefusals says that this service answers 503 only before it has
	// done anything: then 503 is Refused, and safe to repeat; otherwise it is
	// Ambiguous. Used by httpwrap.
	TrustRefusals bool `json:"trustRefusals,omitempty" yaml:"trustRefusals,omitempty"`

	// Methods overrides some of the above by Hint.Method.
	Methods map[string]MethodSettings `json:"methods,omitempty" yaml:"methods,omitempty"`
}

// MethodSettings override [Settings] for one method. A zero field overrides
// nothing.
type MethodSettings struct {
	Attempts       int               `json:"attempts,omitempty" yaml:"attempts,omitempty"`
	AttemptTimeout time.Duration     `json:"attemptTimeout,omitempty" yaml:"attemptTimeout,omitempty"`
	Timeout        time.Duration     `json:"timeout,omitempty" yaml:"timeout,omitempty"`
	Backoff        BackoffSettings   `json:"backoff,omitzero" yaml:"backoff,omitempty"` // as a whole, in place of Settings.Backoff
	Idempotency    retry.Idempotency `json:"idempotency,omitempty" yaml:"idempotency,omitempty"`
}

// BackoffSettings are exponential intervals, made by backoff/v4 and spread by
// full jitter: uniform between 0 and the interval. A retry of an attempt that
// never reached its node, to a node that was not tried, does not wait.
type BackoffSettings struct {
	Initial    time.Duration `json:"initial,omitempty" yaml:"initial,omitempty"`       // default 25 ms, or max if that is less; negative: no pauses
	Max        time.Duration `json:"max,omitempty" yaml:"max,omitempty"`               // default 1 s; a cap, never exceeded
	Multiplier float64       `json:"multiplier,omitempty" yaml:"multiplier,omitempty"` // default 2; 1 to 100
}

// BudgetSettings are those of retry.BudgetConfig.
type BudgetSettings struct {
	Share  float64       `json:"share,omitempty" yaml:"share,omitempty"`   // retries paid for by a success; default 0.2, negative: no budget
	Floor  float64       `json:"floor,omitempty" yaml:"floor,omitempty"`   // retries a second besides; default 2, negative: none
	Window time.Duration `json:"window,omitempty" yaml:"window,omitempty"` // what may be saved up; default 10 s
}

// EjectionSettings are those of selector.Ejection.
type EjectionSettings struct {
	Off           bool          `json:"off,omitempty" yaml:"off,omitempty"`                     // never eject, keep only the counters of Status; default false
	IgnoreSilence bool          `json:"ignoreSilence,omitempty" yaml:"ignoreSilence,omitempty"` // a node that hangs is found by its timeouts only; default false: by its silence
	FalseAlarm    float64       `json:"falseAlarm,omitempty" yaml:"falseAlarm,omitempty"`       // healthy calls between two comparisons for nothing; default 1e6
	Excess        float64       `json:"excess,omitempty" yaml:"excess,omitempty"`               // smallest additional failure rate that is ill; default 1/3
	Baseline      float64       `json:"baseline,omitempty" yaml:"baseline,omitempty"`           // failure rate that is always normal; default 0.02
	MaxShare      float64       `json:"maxShare,omitempty" yaml:"maxShare,omitempty"`           // of the nodes that may be out; default 0.5
	Burst         time.Duration `json:"burst,omitempty" yaml:"burst,omitempty"`                 // failures lumped into one; default 10 ms, negative: off
}

// BreakerSettings are those parts of breaker.Config that say how a breaker
// closes again.
type BreakerSettings struct {
	OpenFor      time.Duration `json:"openFor,omitempty" yaml:"openFor,omitempty"`           // first open time, doubling; default 1 s
	OpenMax      time.Duration `json:"openMax,omitempty" yaml:"openMax,omitempty"`           // cap of the open time; default 30 s
	Spread       float64       `json:"spread,omitempty" yaml:"spread,omitempty"`             // of the open time, either way, as a share; default 0.5, negative: off
	Probes       int           `json:"probes,omitempty" yaml:"probes,omitempty"`             // successes in a row that close it; default 1
	ProbeTimeout time.Duration `json:"probeTimeout,omitempty" yaml:"probeTimeout,omitempty"` // lease of a probe; default 10 s
}

// RuleSettings are a breaker with a trip rule of its own, in data: Rule names
// it and the parameters that belong to it are used, with the rule's defaults
// where they are 0.
type RuleSettings struct {
	BreakerSettings `yaml:",inline"`

	Rule string `json:"rule,omitempty" yaml:"rule,omitempty"` // "cusum" (default), "consecutive", "rate", "count"

	Baseline   float64 `json:"baseline,omitempty" yaml:"baseline,omitempty"`     // cusum: the normal error rate
	Broken     float64 `json:"broken,omitempty" yaml:"broken,omitempty"`         // cusum: the broken error rate
	FalseAlarm float64 `json:"falseAlarm,omitempty" yaml:"falseAlarm,omitempty"` // cusum: calls between false trips

	N         int           `json:"n,omitempty" yaml:"n,omitempty"`                 // consecutive: failures in a row
	Window    time.Duration `json:"window,omitempty" yaml:"window,omitempty"`       // rate: how far back
	Size      int           `json:"size,omitempty" yaml:"size,omitempty"`           // count: how many calls back
	MinCalls  int           `json:"minCalls,omitempty" yaml:"minCalls,omitempty"`   // rate, count: below it, no verdict
	Threshold float64       `json:"threshold,omitempty" yaml:"threshold,omitempty"` // rate, count: failure share that trips

	SlowCall time.Duration `json:"slowCall,omitempty" yaml:"slowCall,omitempty"` // a success this slow is a failure; 0: off
	Ramp     time.Duration `json:"ramp,omitempty" yaml:"ramp,omitempty"`         // time to full load after closing; default 10 s, negative: off
	Shadow   bool          `json:"shadow,omitempty" yaml:"shadow,omitempty"`     // only report
}

// FieldError is one thing that is wrong with [Settings]. What Validate and
// UnmarshalJSON return is made of them.
type FieldError struct {
	Field string // as JSON and YAML name it: "ejection.excess", "methods[\"get\"].timeout"; empty: the whole
	Err   error  // says it, and begins with the field
}

func (e *FieldError) Error() string { return e.Err.Error() }

func (e *FieldError) Unwrap() error { return e.Err }

func wrong(field string, format string, args ...any) error {
	return &FieldError{field, fmt.Errorf(format, append([]any{field}, args...)...)}
}

// named makes FieldErrors of another room's, which begin with the field.
func named(err error) error {
	return each(err, func(err error) error {
		field, _, _ := strings.Cut(err.Error(), " ")
		return &FieldError{field, err}
	})
}

// Validate returns all that is wrong, joined: a [FieldError] a field, with the
// accepted range. [New] and [Client.Update] call it.
func (s Settings) Validate() error {
	var v problems
	v.attempts("attempts", s.Attempts)
	v.duration("timeout", s.Timeout)
	v.backoff("backoff", s.Backoff)
	v.add(named(s.Budget.config().Validate()))
	_, err := newStrategy(s.Strategy)
	v.add(named(err))
	v.add(named(s.Ejection.config().Validate()))
	v.add(within("breaker", s.Breaker.config().Validate()))
	if s.ServiceBreaker != nil {
		cfg, err := s.ServiceBreaker.config()
		v.add(within("serviceBreaker", errors.Join(err, cfg.Validate())))
	}
	v.check(s.Bulkhead >= 0, "bulkhead", s.Bulkhead, "0 (no limit) or more calls at once")
	for _, name := range slices.Sorted(maps.Keys(s.Methods)) {
		m := s.Methods[name]
		v.attempts(fmt.Sprintf("methods[%q].attempts", name), m.Attempts)
		v.duration(fmt.Sprintf("methods[%q].timeout", name), m.Timeout)
		v.backoff(fmt.Sprintf("methods[%q].backoff", name), m.Backoff)
		v.check(m.Idempotency <= retry.NonIdempotent, fmt.Sprintf("methods[%q].idempotency", name), m.Idempotency, "one of the declared kinds")
	}
	return errors.Join(v...)
}

// clone returns a copy that shares nothing with s.
func (s Settings) clone() Settings {
	s.Methods = maps.Clone(s.Methods)
	if s.ServiceBreaker != nil {
		b := *s.ServiceBreaker
		s.ServiceBreaker = &b
	}
	return s
}

const maxAttempts = 100

type problems []error

func (p *problems) check(ok bool, field string, value any, want string) {
	if !ok {
		*p = append(*p, &FieldError{field, fmt.Errorf("%s %v: want %s", field, value, want)})
	}
}

func (p *problems) attempts(field string, n int) {
	p.check(n >= 0 && n <= maxAttempts, field, n, fmt.Sprintf("1 to %d (0: default)", maxAttempts))
}

func (p *problems) duration(field string, d time.Duration) {
	p.check(d >= 0, field, d, "0 (default) or more")
}

func (p *problems) backoff(field string, b BackoffSettings) {
	p.check(!math.IsNaN(b.Multiplier) && (b.Multiplier == 0 || (b.Multiplier >= 1 && b.Multiplier <= 100)),
		field+".multiplier", b.Multiplier, "1 to 100 (0: default 2)")
	p.duration(field+".max", b.Max)
	d := b.withDefaults()
	p.check(d.Initial <= d.Max || b.Max < 0, field+".initial", d.Initial, fmt.Sprintf("at most %s.max, %v", field, d.Max))
}

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

// prefix puts a word before each line of what is wrong.
func prefix(word string, err error) error {
	return each(err, func(err error) error { return fmt.Errorf("%s: %w", word, err) })
}

// within names the fields of a breaker's configuration as the settings do:
// "CUSUM.Baseline" in serviceBreaker is serviceBreaker.baseline.
func within(path string, err error) error {
	return each(err, func(err error) error {
		var f *breaker.FieldError
		if !errors.As(err, &f) {
			return named(fmt.Errorf("%s.%w", path, err))
		}
		name := f.Field[strings.LastIndexByte(f.Field, '.')+1:]
		name = path + "." + strings.ToLower(name[:1]) + name[1:]
		return &FieldError{name, &settingError{text: fmt.Sprintf("%s %v: want %s", name, f.Value, f.Want), err: err}}
	})
}

// settingError is another room's error under the name that the settings use.
type settingError struct {
	text string
	err  error
}

func (e *settingError) Error() string { return e.text }
func (e *settingError) Unwrap() error { return e.err }

// each maps the errors that are joined in err.
func each(err error, f func(error) error) error {
	if err == nil {
		return nil
	}
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return f(err)
	}
	var out []error
	for _, e := range list.Unwrap() {
		out = append(out, each(e, f))
	}
	return errors.Join(out...)
}

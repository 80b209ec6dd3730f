package resilience

import (
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// This file turns Settings into the configurations of the other rooms.

func (b BackoffSettings) withDefaults() BackoffSettings {
	if b.Initial == 0 {
		b.Initial = 25 * time.Millisecond
		if b.Max > 0 {
			b.Initial = min(b.Initial, b.Max)
		}
	}
	if b.Max == 0 {
		b.Max = max(time.Second, b.Initial)
	}
	if b.Multiplier == 0 {
		b.Multiplier = 2
	}
	return b
}

func (b BackoffSettings) intervals() func() backoff.BackOff {
	b = b.withDefaults()
	if b.Initial < 0 {
		return nil
	}
	return retry.Exponential(b.Initial, b.Max, b.Multiplier)
}

// policy is the retry policy of all methods.
func (s Settings) policy() retry.Policy {
	p := retry.Policy{Attempts: s.Attempts, Backoff: s.Backoff.intervals()}
	if p.Attempts == 0 {
		p.Attempts = 3
	}
	if p.Await = s.Await; p.Await == 0 {
		p.Await = time.Second
	}
	return p
}

// policy is what a method has of its own.
func (m MethodSettings) policy() retry.Policy {
	p := retry.Policy{Attempts: m.Attempts}
	if m.Backoff != (BackoffSettings{}) {
		p.Backoff = m.Backoff.intervals()
		if p.Backoff == nil { // no pauses, rather than those of all methods
			p.Backoff = func() backoff.BackOff { return &backoff.ZeroBackOff{} }
		}
	}
	return p
}

func (b BudgetSettings) config() retry.BudgetConfig {
	return retry.BudgetConfig{Share: b.Share, Floor: b.Floor, Window: b.Window}
}

func (e EjectionSettings) config() selector.Ejection {
	return selector.Ejection{
		Off: e.Off, IgnoreSilence: e.IgnoreSilence, FalseAlarm: e.FalseAlarm, Excess: e.Excess, Baseline: e.Baseline, MaxShare: e.MaxShare, Burst: e.Burst,
	}
}

func (b BreakerSettings) config() breaker.Config {
	return breaker.Config{OpenFor: b.OpenFor, OpenMax: b.OpenMax, Spread: b.Spread, Probes: b.Probes, ProbeTimeout: b.ProbeTimeout}
}

func (r RuleSettings) config() (breaker.Config, error) {
	cfg := r.BreakerSettings.config()
	cfg.SlowCall, cfg.Ramp, cfg.Shadow = r.SlowCall, r.Ramp, r.Shadow
	switch r.Rule {
	case "", "cusum":
		cfg.Rule = breaker.CUSUM{Baseline: r.Baseline, Broken: r.Broken, FalseAlarm: r.FalseAlarm}
	case "consecutive":
		cfg.Rule = breaker.Consecutive{N: r.N}
	case "rate":
		cfg.Rule = breaker.Rate{Window: r.Window, MinCalls: r.MinCalls, Threshold: r.Threshold}
	case "count":
		cfg.Rule = breaker.Count{Size: r.Size, MinCalls: r.MinCalls, Threshold: r.Threshold}
	default:
		return cfg, fmt.Errorf("rule %q: want \"cusum\", \"consecutive\", \"rate\" or \"count\"", r.Rule)
	}
	return cfg, nil
}

func newStrategy(name string) (selector.Strategy, error) {
	switch name {
	case "", "two-choices":
		return selector.TwoChoices{}, nil
	case "round-robin":
		return &selector.RoundRobin{}, nil
	case "random":
		return selector.Random{}, nil
	case "weighted":
		return selector.Weighted{}, nil
	}
	return nil, fmt.Errorf("strategy %q: want \"two-choices\", \"round-robin\", \"random\" or \"weighted\"", name)
}

// selectorConfig is for valid settings.
func (cfg *Config) selectorConfig() selector.Config {
	strategy, _ := newStrategy(cfg.Strategy)
	sc := selector.Config{
		Source: cfg.Nodes, Strategy: strategy, Zone: cfg.Zone, SlowStart: cfg.SlowStart,
		Ejection: cfg.Ejection.config(), Engine: cfg.Engine, Breaker: cfg.Breaker.config(), Clock: cfg.Clock,
	}
	sc.OnEvent = cfg.OnNode
	if o, hear := cfg.Observer, cfg.OnNode; o != nil {
		service := cfg.Service
		sc.OnEvent = func(e selector.Event) {
			if hear != nil {
				hear(e)
			}
			o.Observe(Event{Kind: NodeEvent, At: e.At, Service: service, Node: e.Node, Err: e.Err, Change: &e})
		}
	}
	return sc
}

// serviceBreaker makes or updates the breaker above the retries; nil: there is
// none. Caller holds mu, or is New.
func (c *Client) serviceBreaker(s *RuleSettings) (breaker.Breaker, error) {
	if engine := c.cfg.ServiceEngine; engine != nil {
		return c.foreignGuard(engine)
	}
	if s == nil {
		return nil, nil
	}
	bc, err := s.config()
	if err != nil {
		return nil, prefix("serviceBreaker", err)
	}
	bc.Clock = c.cfg.Clock
	if o, service := c.cfg.Observer, c.service; o != nil {
		bc.OnEvent = func(e breaker.Event) {
			o.Observe(Event{Kind: ServiceBreakerEvent, At: e.At, Service: service, Breaker: &e})
		}
	}
	if c.guard == nil {
		family, err := breaker.NewFamily(bc)
		if err != nil {
			return nil, prefix("serviceBreaker", err)
		}
		c.guard = &guard{family, family.New(c.service)}
	} else if err := c.guard.family.Update(bc); err != nil {
		return nil, prefix("serviceBreaker", err)
	}
	return c.guard.breaker, nil
}

// foreignGuard is a service breaker that is not ours.
func (c *Client) foreignGuard(engine breaker.Engine) (breaker.Breaker, error) {
	if c.guard == nil {
		b := engine.New(c.service)
		if b == nil {
			return nil, errors.New("serviceEngine: want a breaker, got nil")
		}
		c.guard = &guard{breaker: b}
	}
	return c.guard.breaker, nil
}

// guarded is ServiceBreaker, where there is one.
func guarded(b breaker.Breaker, clk Clock) Wrapper {
	if b == nil {
		return nil
	}
	return ServiceBreaker(b, clk)
}

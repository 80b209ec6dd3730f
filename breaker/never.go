package breaker

import "time"

// Never never opens by itself: the decision is left to [Circuit.Trip], as in
// package selector, where the ejector knows the node's peers. Results of calls
// made while closed are ignored; probes still decide in half-open.
type Never struct{}

// Validate implements [Rule]; it returns nil.
func (Never) Validate() error { return nil }

// String implements [Rule].
func (Never) String() string { return "never" }

func (r Never) judge() judge { return r }

func (Never) kind() kind                                { return kindNever }
func (Never) terms() (int, float64)                     { return 0, 0 }
func (Never) note(*record, bool, time.Time) bool        { return false }
func (Never) measure(*record, time.Time) (none measure) { return none }

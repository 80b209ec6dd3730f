package clock

import "time"

// Mono implements [Clock].
func (*Real) Mono() int64 { return int64(time.Since(base)) }

// At implements [Clock].
func (*Real) At(mono int64) time.Time { return base.Add(time.Duration(mono)) }

// Mono implements [Clock].
func (v *Virtual) Mono() int64 { return v.now }

// At implements [Clock].
func (*Virtual) At(mono int64) time.Time { return epoch.Add(time.Duration(mono)) }

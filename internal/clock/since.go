package clock

import "time"

// Since implements [Clock].
func (*Real) Since(t time.Time) time.Duration { return time.Since(t) }

// Since implements [Clock].
func (v *Virtual) Since(t time.Time) time.Duration { return v.Now().Sub(t) }

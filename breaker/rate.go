package breaker

import (
	"errors"
	"fmt"
	"time"
)

// Rate opens when at least Threshold of the calls that ended within the last
// Window failed, and there were at least MinCalls. It looks when a failure is
// reported. The window moves in tenths, at the clock's multiples of them, so it
// covers between 0.9 and 1 Window.
//
// Every result takes the breaker's lock and reads the clock: where the healthy
// path must be free, use [CUSUM]. A dead node is noticed only after
// Threshold × Window under steady load.
type Rate struct {
	// Window is how far back it looks. Default 10 s.
	Window time.Duration
	// MinCalls is how many calls it needs to judge. Default 20.
	MinCalls int
	// Threshold is the share of failures that opens, above 0, up to 1.
	// Default 0.5.
	Threshold float64
}

// rateCells is how many steps a window moves in.
const rateCells = 10

func (r Rate) filled() Rate {
	if r.Window == 0 {
		r.Window = 10 * time.Second
	}
	if r.MinCalls == 0 {
		r.MinCalls = 20
	}
	if r.Threshold == 0 {
		r.Threshold = 0.5
	}
	return r
}

// Validate implements [Rule].
func (r Rate) Validate() error {
	f := r.filled()
	var errs []error
	if f.Window < time.Millisecond || f.Window > maxDuration {
		errs = append(errs, &FieldError{"Rate.Window", f.Window, "1ms to 8760h (0: default 10s)"})
	}
	if f.MinCalls < 1 || f.MinCalls > 1e9 {
		errs = append(errs, &FieldError{"Rate.MinCalls", f.MinCalls, "1 to 1e9 (0: default 20)"})
	}
	if !(f.Threshold > 0 && f.Threshold <= 1) {
		errs = append(errs, &FieldError{"Rate.Threshold", f.Threshold, "more than 0, up to 1 (0: default 0.5)"})
	}
	return errors.Join(errs...)
}

// String implements [Rule].
func (r Rate) String() string {
	f := r.filled()
	return fmt.Sprintf("rate(%s in %v, at least %d calls)", percent(f.Threshold), f.Window, f.MinCalls)
}

func (r Rate) judge() judge { return &rate{r.filled()} }

type rate struct{ Rate }

func (*rate) kind() kind { return kindRate }

func (j *rate) terms() (int, float64) { return j.MinCalls, j.Threshold }

func (j *rate) note(rec *record, failed bool, now time.Time) bool {
	width := int64(j.Window / rateCells)
	if rec.win == nil || rec.win.span != width {
		rec.win = &window{span: width, start: now.Truncate(j.Window / rateCells), cells: make([]cell, rateCells)}
	}
	w := rec.win
	w.advance(now)
	c := &w.cells[w.head%rateCells]
	c.calls++
	w.calls++
	if !failed {
		return false
	}
	c.failures++
	w.failures++
	return w.reaches(j.MinCalls, j.Threshold)
}

func (j *rate) measure(rec *record, now time.Time) measure {
	if rec.win != nil {
		rec.win.advance(now)
	}
	return share(rec.win, j.Threshold)
}

// advance moves the head to the cell of now and takes what falls out of the
// window off the totals. A now from before the head counts as the head's.
func (w *window) advance(now time.Time) {
	head := int64(now.Sub(w.start)) / w.span
	for n := min(head-w.head, rateCells); n > 0; n-- {
		w.head++
		c := &w.cells[w.head%rateCells]
		w.calls -= c.calls
		w.failures -= c.failures
		*c = cell{}
	}
	w.head = max(w.head, head)
}

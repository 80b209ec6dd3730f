package breaker

import (
	"errors"
	"fmt"
	"time"
)

// Count opens when at least Threshold of the last Size calls failed, and there
// were at least MinCalls. It looks when a failure is reported.
//
// Every result takes the breaker's lock; none reads the clock. After a long
// healthy time Size × Threshold failures must come before it opens.
type Count struct {
	// Size is how many calls it remembers, one bit each. Default 100.
	Size int
	// MinCalls is how many calls it needs to judge, up to Size. Default 20, or
	// Size if that is less.
	MinCalls int
	// Threshold is the share of failures that opens, above 0, up to 1.
	// Default 0.5.
	Threshold float64
}

func (r Count) filled() Count {
	if r.Size == 0 {
		r.Size = 100
	}
	if r.MinCalls == 0 {
		r.MinCalls = min(20, r.Size)
	}
	if r.Threshold == 0 {
		r.Threshold = 0.5
	}
	return r
}

// Validate implements [Rule].
func (r Count) Validate() error {
	f := r.filled()
	var errs []error
	if f.Size < 1 || f.Size > 1e6 {
		errs = append(errs, &FieldError{"Count.Size", f.Size, "1 to 1e6 (0: default 100)"})
	} else if f.MinCalls < 1 || f.MinCalls > f.Size {
		errs = append(errs, &FieldError{
			"Count.MinCalls", f.MinCalls,
			fmt.Sprintf("1 to Size, which is %d (0: default 20)", f.Size),
		})
	}
	if !(f.Threshold > 0 && f.Threshold <= 1) {
		errs = append(errs, &FieldError{"Count.Threshold", f.Threshold, "more than 0, up to 1 (0: default 0.5)"})
	}
	return errors.Join(errs...)
}

// String implements [Rule].
func (r Count) String() string {
	f := r.filled()
	return fmt.Sprintf("count(%s of last %d, at least %d calls)", percent(f.Threshold), f.Size, f.MinCalls)
}

func (r Count) judge() judge { return &count{r.filled()} }

type count struct{ Count }

func (*count) kind() kind { return kindCount }

func (j *count) terms() (int, float64) { return j.MinCalls, j.Threshold }

func (j *count) note(rec *record, failed bool, _ time.Time) bool {
	size := int64(j.Size)
	if rec.win == nil || rec.win.span != size {
		rec.win = &window{span: size, bits: make([]uint64, (size+63)/64)}
	}
	w := rec.win
	at := w.head % size
	word, bit := &w.bits[at/64], uint64(1)<<(at%64)
	if w.head >= size && *word&bit != 0 { // the oldest call makes place
		w.failures--
	}
	w.head++
	w.calls = uint64(min(w.head, size))
	if !failed {
		*word &^= bit
		return false
	}
	*word |= bit
	w.failures++
	return w.reaches(j.MinCalls, j.Threshold)
}

func (j *count) measure(rec *record, _ time.Time) measure { return share(rec.win, j.Threshold) }

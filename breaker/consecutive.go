package breaker

import (
	"fmt"
	"time"
)

// Consecutive opens after N failures with no success between them. A success
// with no failure on record writes nothing and reads no clock.
//
// It is blind to partial failure (at 30 % errors five in a row take 586
// calls, on average) and not safe from chance (at 5 % errors and 100 calls a
// second it opens falsely 2.6 times a day): prefer [CUSUM].
type Consecutive struct {
	// N is the number of failures in a row. Default 5.
	N int
}

func (r Consecutive) filled() Consecutive {
	if r.N == 0 {
		r.N = 5
	}
	return r
}

// Validate implements [Rule].
func (r Consecutive) Validate() error {
	if n := r.filled().N; n < 1 || n > 1e9 {
		return &FieldError{"Consecutive.N", n, "1 to 1e9 (0: default 5)"}
	}
	return nil
}

// String implements [Rule].
func (r Consecutive) String() string { return fmt.Sprintf("consecutive(%d)", r.filled().N) }

func (r Consecutive) judge() judge { return &consecutive{r.filled()} }

type consecutive struct{ Consecutive }

func (*consecutive) kind() kind { return kindConsecutive }

func (j *consecutive) terms() (int, float64) { return j.N, 1 }

func (j *consecutive) note(rec *record, failed bool, _ time.Time) bool {
	if !failed {
		rec.score = 0
		return false
	}
	rec.score++
	return rec.score >= float64(j.N)
}

func (j *consecutive) measure(rec *record, _ time.Time) measure {
	n := uint64(rec.score)
	return measure{score: rec.score, threshold: float64(j.N), calls: n, failures: n}
}

package breaker

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// CUSUM opens when a running score reaches ln FalseAlarm. A failure adds
// ln(Broken/Baseline), a success takes away ln((1−Baseline)/(1−Broken)), and
// the score never falls below 0. It is Page's cumulative sum test (Biometrika
// 41, 1954) of "errors at Baseline" against "errors at Broken": of all tests
// that give as few false alarms it detects the change in the fewest calls.
//
// With the defaults four failures in a row open, and so do 9 calls, on average,
// of which half fail, or 19 of which 30 % do. While the error rate is Baseline
// or less and failures are independent, at least FalseAlarm calls pass, on
// average, between two false openings; measured, 5 to 10 times as many.
//
// A success on a score of 0 writes nothing and reads no clock.
type CUSUM struct {
	// Baseline is the error rate that is normal, above 0 and below Broken.
	// Default 0.01.
	Baseline float64
	// Broken is the error rate that is not, above Baseline and below 1.
	// Default 0.5.
	Broken float64
	// FalseAlarm is the number of healthy calls between two false openings,
	// above 1. Default 1e6.
	FalseAlarm float64
}

func (r CUSUM) filled() CUSUM {
	if r.Baseline == 0 {
		r.Baseline = 0.01
	}
	if r.Broken == 0 {
		r.Broken = 0.5
	}
	if r.FalseAlarm == 0 {
		r.FalseAlarm = 1e6
	}
	return r
}

// Validate implements [Rule].
func (r CUSUM) Validate() error {
	f := r.filled()
	var errs []error
	baseline := f.Baseline >= 1e-9 && f.Baseline < 1
	broken := f.Broken > 0 && f.Broken <= 1-1e-9
	if !baseline {
		errs = append(errs, &FieldError{"CUSUM.Baseline", f.Baseline, "1e-9 to less than Broken (0: default 0.01)"})
	}
	if !broken {
		errs = append(errs, &FieldError{"CUSUM.Broken", f.Broken, "more than Baseline, less than 1 (0: default 0.5)"})
	}
	if baseline && broken && f.Baseline >= f.Broken {
		errs = append(errs, &FieldError{
			"CUSUM.Baseline", f.Baseline,
			fmt.Sprintf("1e-9 to less than Broken, which is %v (0: default 0.01)", f.Broken),
		})
	}
	if !(f.FalseAlarm > 1 && f.FalseAlarm <= 1e18) {
		errs = append(errs, &FieldError{"CUSUM.FalseAlarm", f.FalseAlarm, "more than 1, up to 1e18 (0: default 1e6)"})
	}
	return errors.Join(errs...)
}

// String implements [Rule].
func (r CUSUM) String() string {
	f := r.filled()
	return fmt.Sprintf("cusum(%s→%s, %s)", percent(f.Baseline), percent(f.Broken), short(f.FalseAlarm))
}

func (r CUSUM) judge() judge {
	f := r.filled()
	return &cusum{
		CUSUM:     f,
		failure:   math.Log(f.Broken / f.Baseline),
		success:   math.Log((1 - f.Baseline) / (1 - f.Broken)),
		threshold: math.Log(f.FalseAlarm),
	}
}

type cusum struct {
	CUSUM
	failure, success, threshold float64
}

func (*cusum) kind() kind { return kindCUSUM }

func (j *cusum) terms() (int, float64) { return 0, j.Broken }

func (j *cusum) note(rec *record, failed bool, _ time.Time) bool {
	if failed {
		rec.score += j.failure
		return rec.score >= j.threshold
	}
	rec.score = max(0, rec.score-j.success)
	return false
}

func (j *cusum) measure(rec *record, _ time.Time) measure {
	return measure{score: rec.score, threshold: j.threshold}
}

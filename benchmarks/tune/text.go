package tune

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// percent writes a share.
func percent(x float64) string { return strconv.FormatFloat(round(100*x, 3), 'g', -1, 64) + " %" }

// round rounds to so many digits.
func round(x float64, digits int) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	f, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	return f
}

// roundUp rounds up to two digits.
func roundUp(x float64) float64 {
	r := round(x, 2)
	if r < x {
		r = round(r+math.Pow(10, math.Floor(math.Log10(x))-1), 2)
	}
	return r
}

// floor rounds down to so many decimals.
func floor(x float64, decimals int) float64 {
	scale := math.Pow(10, float64(decimals))
	return math.Floor(x*scale+1e-9) / scale
}

// roundTime rounds up to two digits.
func roundTime(d time.Duration) time.Duration { return time.Duration(roundUp(float64(d))) }

// spell writes a time as people do.
func spell(d time.Duration) string {
	switch {
	case d == week:
		return "a week"
	case d == 24*time.Hour:
		return "a day"
	case d == time.Hour:
		return "an hour"
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Minute:
		return d.Round(time.Second).String()
	}
	return time.Duration(round(float64(d), 3)).String()
}

// seconds writes a time that may be infinite.
func seconds(n Number) string {
	if s := float64(n); !math.IsInf(s, 0) && !math.IsNaN(s) && s < 1e9 {
		return spell(time.Duration(s * float64(time.Second)))
	}
	return "never"
}

// amount writes a number that may be infinite.
func amount(n Number) string {
	if math.IsInf(float64(n), 0) {
		return "never"
	}
	return strconv.FormatFloat(round(float64(n), 2), 'g', -1, 64)
}

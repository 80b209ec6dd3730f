package httpwrap

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		field, date string
		want        time.Duration
		ok          bool
	}{
		{"0", "", 0, true},
		{"120", "", 2 * time.Minute, true},
		{"0000000000000000000000120", "", 2 * time.Minute, true},
		{"9223372036854775807", "", forever, true},
		{"99999999999999999999999", "", forever, true},
		{at(time.Minute), "", time.Minute, true},
		{at(time.Minute), at(-time.Hour), time.Hour + time.Minute, true}, // the server's clock is slow
		{at(time.Minute), "nonsense", time.Minute, true},
		{at(-time.Minute), "", 0, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", "", forever, true},
		{now.Add(time.Minute).Format(time.RFC850), "", time.Minute, true},
		{now.Add(time.Minute).Format(time.ANSIC), "", time.Minute, true},
		{"", "", 0, false},
		{"-1", "", 0, false},
		{"+1", "", 0, false},
		{"1.5", "", 0, false},
		{"1s", "", 0, false},
		{" 1", "", 0, false},
		{"١", "", 0, false},
		{"tomorrow", "", 0, false},
	}
	for _, tt := range tests {
		if got, ok := retryAfter(tt.field, tt.date, now); got != tt.want || ok != tt.ok {
			t.Errorf("Retry-After %q, Date %q: %v, %v; want %v, %v", tt.field, tt.date, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, s := range []string{"", "0", "7", "-7", "99999999999999999999", "Mon, 23 Nov 2026 12:00:07 GMT", "Monday, 23-Nov-26 12:00:07 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "x"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, field, date string) {
		got, ok := retryAfter(field, date, now)
		if got < 0 || got > forever || (!ok && got != 0) {
			t.Fatalf("%q: %v, %v", field, got, ok)
		}
		if n, err := strconv.ParseUint(field, 10, 31); err == nil && isDigits(field) && ok && got != min(time.Duration(n)*time.Second, forever) {
			t.Fatalf("%q: %v", field, got)
		}
		if _, err := http.ParseTime(field); ok != (err == nil || isDigits(field)) {
			t.Fatalf("%q: understood %v, a date: %v", field, ok, err == nil)
		}
	})
}

package gobreaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "github.com/sony/gobreaker"
	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
)

// fields are the names of the fields that err complains about.
func fields(err error) (names []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			names = append(names, fields(e)...)
		}
		return names
	}
	var f *breaker.FieldError
	if errors.As(err, &f) {
		names = append(names, f.Field)
	}
	return names
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, nil},
		{Config{Settings: sony.Settings{Interval: -1, Timeout: -1, BucketPeriod: -1}}, nil}, // gobreaker's defaults
		{Config{Settings: sony.Settings{Interval: time.Hour, BucketPeriod: time.Second, Timeout: 8760 * time.Hour}, ProbeTimeout: time.Nanosecond}, nil},
		{Config{ProbeTimeout: -1}, []string{"ProbeTimeout"}},
		{Config{ProbeTimeout: 8760*time.Hour + 1}, []string{"ProbeTimeout"}},
		{
			Config{Settings: sony.Settings{Interval: 1 << 62, BucketPeriod: 1 << 62, Timeout: 1 << 62}, ProbeTimeout: -1},
			[]string{"ProbeTimeout", "Settings.Interval", "Settings.BucketPeriod", "Settings.Timeout"},
		},
		{Config{Settings: sony.Settings{Interval: time.Hour, BucketPeriod: time.Nanosecond}}, []string{"Settings.BucketPeriod"}},
	} {
		_, err := NewEngine(tt.cfg)
		_, err2 := New("x", tt.cfg)
		_, _, err3 := Native(tt.cfg)
		for _, err := range []error{err, err2, err3} {
			if got := fields(err); !slices.Equal(got, tt.want) {
				t.Errorf("%+v: %v, want complaints about %v", tt.cfg, err, tt.want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range [][3]string{{"", "", ""}, {"a", "", "a"}, {"", "b", "b"}, {"a", "b", "a/b"}} {
		e, err := NewEngine(Config{Settings: sony.Settings{Name: tt[0]}})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.New(tt[1]).(*Breaker).Name(); got != tt[2] {
			t.Errorf("name %q and key %q make %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestJudge(t *testing.T) {
	known := errors.New("no such row")
	st := sony.Settings{
		IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, known) },
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
	}
	for _, tt := range []struct {
		st   sony.Settings
		err  error
		want breaker.Result
	}{
		{sony.Settings{}, nil, breaker.Success},
		{sony.Settings{}, errDown, breaker.Failure},
		{sony.Settings{}, context.Canceled, breaker.Failure},
		{st, nil, breaker.Success},
		{st, errDown, breaker.Failure},
		{st, fmt.Errorf("get: %w", known), breaker.Success},
		{st, context.Canceled, breaker.Ignored},
	} {
		if got := Judge(tt.st)(tt.err); got != tt.want {
			t.Errorf("%v is a %v, want a %v", tt.err, got, tt.want)
		}
	}
}

// Settings of v1 reach the adapter whole: their functions hear what they did.
//
//nolint:forbidigo // synctest bubble
func TestFromV1(t *testing.T) {
	var counts []v1.Counts
	var turns []string
	errIsFine := errors.New("fine")
	st := FromV1(v1.Settings{
		Name: "db", MaxRequests: 2, Interval: time.Minute, Timeout: time.Second,
		ReadyToTrip: func(c v1.Counts) bool { counts = append(counts, c); return c.TotalFailures >= 2 },
		OnStateChange: func(name string, from, to v1.State) {
			turns = append(turns, fmt.Sprintf("%s %v %v", name, from, to))
		},
		IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, errIsFine) },
	})
	bubble(t, func(t *testing.T) {
		b, err := New("", Config{Settings: st})
		if err != nil {
			t.Fatal(err)
		}
		callN(t, b, 3, breaker.Success)
		callN(t, b, 2, breaker.Failure)
		time.Sleep(time.Second + 1)
		callN(t, b, 2, breaker.Success)
		if want := []string{"db closed open", "db open half-open", "db half-open closed"}; !slices.Equal(turns, want) {
			t.Errorf("heard %q, want %q", turns, want)
		}
		if want := []v1.Counts{
			{Requests: 4, TotalSuccesses: 3, TotalFailures: 1, ConsecutiveFailures: 1},
			{Requests: 5, TotalSuccesses: 3, TotalFailures: 2, ConsecutiveFailures: 2},
		}; !slices.Equal(counts, want) {
			t.Errorf("ReadyToTrip was told %+v, want %+v", counts, want)
		}
		if got := Judge(st)(errIsFine); got != breaker.Success {
			t.Errorf("IsSuccessful is lost: %v", got)
		}
	})
	if st := FromV1(v1.Settings{}); st.ReadyToTrip != nil || st.OnStateChange != nil {
		t.Error("functions came from nowhere")
	}
}

package resilience_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// told is a source of settings that a test works by hand.
type told struct {
	first  []resilience.Settings // reported before Watch returns
	err    error                 // of Watch
	report func(resilience.Settings, error) error
	closed int
}

func (s *told) Watch(report func(resilience.Settings, error) error) error {
	s.report = report
	for _, settings := range s.first {
		if err := report(settings, nil); err != nil {
			return err
		}
	}
	return s.err
}

func (s *told) Close() error { s.closed++; return nil }

// A client takes what its source says; what is wrong it refuses, keeps what it
// has, and says so to the source and to the observer.
func TestSettingsFrom(t *testing.T) {
	src := &told{first: []resilience.Settings{{Attempts: 4}, {Attempts: 5}}}
	var heard []resilience.Event
	c, err := resilience.New(resilience.Config{SettingsFrom: src, Observer: resilience.ObserverFunc(func(e resilience.Event) {
		if e.Kind >= resilience.ClientOpened {
			heard = append(heard, e)
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Settings().Attempts; n != 5 {
		t.Errorf("%d attempts at first, want what was said last", n)
	}
	if err := src.report(resilience.Settings{Attempts: 6}, nil); err != nil || c.Settings().Attempts != 6 {
		t.Errorf("%v, %+v", err, c.Settings())
	}
	broken := errors.New("cannot be read")
	if err := src.report(resilience.Settings{}, broken); !errors.Is(err, broken) || c.Settings().Attempts != 6 {
		t.Errorf("%v, %+v", err, c.Settings())
	}
	var field *resilience.FieldError
	if err := src.report(resilience.Settings{Attempts: -1}, nil); !errors.As(err, &field) || field.Field != "attempts" || c.Settings().Attempts != 6 {
		t.Errorf("%v, %+v", err, c.Settings())
	}
	if err := c.Close(); err != nil || src.closed != 1 {
		t.Errorf("%v, closed %d times", err, src.closed)
	}
	var kinds []string
	for _, e := range heard {
		kinds = append(kinds, e.Kind.String())
		if (e.Kind == resilience.SettingsRefused) != (e.Err != nil) || e.Client != c || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	if got := strings.Join(kinds, ", "); got != "client opened, settings changed, settings refused, settings refused, client closed" {
		t.Error(got)
	}
}

// What is reported while the client is being made is in force when New
// returns, or soon after: nothing is lost, and the order is kept.
func TestSettingsFromMeanwhile(t *testing.T) {
	src := &told{first: []resilience.Settings{{Attempts: 4}}}
	c, err := resilience.New(resilience.Config{SettingsFrom: src, Observer: resilience.ObserverFunc(func(e resilience.Event) {
		switch {
		case e.Kind == resilience.ClientOpened:
			_ = src.report(resilience.Settings{Attempts: 7}, nil)
			_ = src.report(resilience.Settings{Attempts: 8}, nil)
		case e.Kind == resilience.SettingsChanged && e.Client.Settings().Attempts == 8:
			_ = src.report(resilience.Settings{Attempts: 9}, nil) // by the listener: it must not wait for itself
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // it cannot fail
	if n := c.Settings().Attempts; n != 9 {
		t.Errorf("%d attempts, want 9", n)
	}
}

func TestSettingsFromRefused(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		cfg  resilience.Config
		want string
	}{
		"nothing said":    {resilience.Config{SettingsFrom: &told{}}, "settingsFrom: want settings before Watch returns"},
		"it fails":        {resilience.Config{SettingsFrom: &told{err: broken}}, "settingsFrom: broken"},
		"out of range":    {resilience.Config{SettingsFrom: &told{first: []resilience.Settings{{Attempts: -1}}}}, "attempts -1"},
		"two of them":     {resilience.Config{Settings: resilience.Settings{Attempts: 2}, SettingsFrom: &told{first: []resilience.Settings{{}}}}, "settings set: want none"},
		"beside bad ones": {resilience.Config{Nodes: badSource{}, SettingsFrom: &told{first: []resilience.Settings{{}}}}, "no nodes today"},
	} {
		_, err := resilience.New(tt.cfg)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if n := tt.cfg.SettingsFrom.(*told).closed; n != 1 {
			t.Errorf("%s: closed %d times", name, n)
		}
	}
}

type badSource struct{}

func (badSource) Watch(func([]selector.Node, error)) error { return errors.New("no nodes today") }
func (badSource) Close() error                             { return nil }

// All that Validate finds has the name of its field.
func TestFieldErrors(t *testing.T) {
	bad := resilience.Settings{
		Attempts: -1, Strategy: "x", Budget: resilience.BudgetSettings{Share: 11}, Ejection: resilience.EjectionSettings{Excess: 2},
		Breaker: resilience.BreakerSettings{Probes: -1}, ServiceBreaker: &resilience.RuleSettings{Rule: "x"},
		Methods: map[string]resilience.MethodSettings{"a b": {Attempts: -1}},
	}
	var got []string
	for _, err := range bad.Validate().(interface{ Unwrap() []error }).Unwrap() {
		for inner, ok := err.(interface{ Unwrap() []error }); ok; inner, ok = err.(interface{ Unwrap() []error }) {
			err = inner.Unwrap()[0]
		}
		f, ok := err.(*resilience.FieldError) //nolint:errorlint // it is not wrapped
		if !ok || !strings.HasPrefix(err.Error(), f.Field+" ") {
			t.Errorf("%T: %v", err, err)
			continue
		}
		got = append(got, f.Field)
	}
	if want := `attempts budget.share strategy ejection.excess breaker.probes serviceBreaker.rule methods["a b"].attempts`; strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

package hystrix_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker/hystrix"
	after "github.com/holdfast-go/holdfast/breaker/hystrix/internal/after"
	before "github.com/holdfast-go/holdfast/breaker/hystrix/internal/before"
)

// An existing call site takes one changed import line, and nothing else.
func TestOneChangedLine(t *testing.T) {
	read := func(name string) []string {
		text, err := os.ReadFile("internal/" + name + "/callsite.go")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(text), "\n")
	}
	old, now := read("before"), read("after")
	if len(old) != len(now) {
		t.Fatalf("%d lines before, %d after", len(old), len(now))
	}
	var changed []string
	for i := range old {
		if old[i] != now[i] {
			changed = append(changed, strings.TrimSpace(old[i]), strings.TrimSpace(now[i]))
		}
	}
	want := []string{`"github.com/afex/hystrix-go/hystrix"`, `"github.com/holdfast-go/holdfast/breaker/hystrix"`}
	if !slices.Equal(changed, want) {
		t.Errorf("changed lines: %q, want %q", changed, want)
	}
}

// site is a call site's functions.
type site struct {
	setup      func()
	greet      func(func() (string, error)) (string, error)
	later      func(context.Context, func(context.Context) (string, error)) (string, error)
	healthy    func() bool
	turnedAway func(error) bool
}

// And does what it did.
func TestTheCallSiteDoesWhatItDid(t *testing.T) {
	play := func(s site) (saw []string) {
		s.setup()
		saw = append(saw, fmt.Sprint(s.healthy()))
		note := func(text string, err error) {
			saw = append(saw, fmt.Sprint(text, ", ", err, ", ", s.turnedAway(err)))
		}
		well := func() (string, error) { return "hello", nil }
		ill := func() (string, error) { return "", errors.New("no route") }
		note(s.greet(well))
		note(s.later(context.Background(), func(context.Context) (string, error) { return "hello, later", nil }))
		note(s.greet(ill))
		note(s.greet(ill)) // by now it is enough, even if the later one is still to be counted
		for deadline := time.Now().Add(5 * time.Second); s.healthy() && time.Now().Before(deadline); {
			<-time.After(time.Millisecond) // the library learns of it later
		}
		note(s.greet(well))
		note(s.later(context.Background(), func(context.Context) (string, error) { return "", nil }))
		return append(saw, fmt.Sprint(s.healthy()))
	}
	now := play(site{after.Setup, after.Greet, after.GreetLater, after.Healthy, after.TurnedAway})
	hystrix.Flush()
	old := hystrix.InChild(t, func() []string {
		return play(site{before.Setup, before.Greet, before.GreetLater, before.Healthy, before.TurnedAway})
	})
	if !slices.Equal(old, now) {
		t.Errorf("before\n%s\nafter\n%s", strings.Join(old, "\n"), strings.Join(now, "\n"))
	}
	if n := len(now); n != 8 || !strings.Contains(now[5], "hello, whoever you are") {
		t.Errorf("%d notes, want 8 with a fallback: %q", n, now)
	}
}

package resiliencetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

const ms = time.Millisecond

func client(t *testing.T, b *resiliencetest.Bench, cfg resilience.Config) *resilience.Client {
	t.Helper()
	c, err := b.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestReplies: what each kind of reply makes of a call.
func TestReplies(t *testing.T) {
	t.Parallel()
	errMine := errors.New("mine")
	tests := []struct {
		name    string
		reply   resiliencetest.Reply
		err     error // to be matched
		outcome string
		took    time.Duration
	}{
		{"good", resiliencetest.Reply{}, nil, "succeeded", 0},
		{"slow", resiliencetest.Reply{After: 30 * ms}, nil, "succeeded", 30 * ms},
		{"slow, said twice", resiliencetest.Reply{After: 30 * ms, Outcome: resilience.Succeeded}, nil, "succeeded", 30 * ms},
		{"hanging", resiliencetest.Reply{Hang: true}, context.DeadlineExceeded, "abandoned", 100 * ms},
		{"too slow", resiliencetest.Reply{After: time.Second}, context.DeadlineExceeded, "abandoned", 100 * ms},
		{"not sent", resiliencetest.Reply{Outcome: resilience.NotSent}, errMine, "not sent", 0},
		{"an error to be judged", resiliencetest.Reply{Err: errMine, After: ms}, errMine, "ambiguous", ms},
		{"an answer", resiliencetest.Reply{Err: errMine, Outcome: resilience.Failed}, errMine, "failed", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := resiliencetest.New(1)
			if tt.outcome == "not sent" {
				tt.reply.Err = errMine
			}
			b.Node("a", resiliencetest.Steps(tt.reply))
			c := client(t, b, resilience.Config{Settings: resilience.Settings{Attempts: 1, Timeout: 100 * ms}})
			var err error
			b.Run(func() { err = c.Do(t.Context(), resilience.Safe("m"), b.Op) })
			if !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
			if b.Elapsed() != tt.took {
				t.Errorf("took %v, want %v", b.Elapsed(), tt.took)
			}
			attempts := b.Events(resilience.AttemptDone)
			if len(attempts) != 1 || attempts[0].Outcome.Name != tt.outcome {
				t.Errorf("%v, want one attempt that %v", attempts, tt.outcome)
			}
		})
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	steps := resiliencetest.Steps(resiliencetest.Reply{After: 1}, resiliencetest.Reply{After: 2})
	late := resiliencetest.Steps(resiliencetest.Reply{After: 9})
	script := steps.Until(time.Second, late).Until(2*time.Second, nil)
	for _, tt := range []struct {
		k    int
		at   time.Duration
		want time.Duration
	}{{1, 0, 1}, {2, 0, 2}, {3, time.Second - 1, 2}, {4, time.Second, 9}, {5, 2*time.Second - 1, 9}, {6, 2 * time.Second, 0}} {
		if got := script(tt.k, tt.at).After; got != tt.want {
			t.Errorf("attempt %d at %v: %v, want %v", tt.k, tt.at, got, tt.want)
		}
	}
	if got := resiliencetest.Steps()(1, 0); got.After != 0 || got.Err != nil || got.Hang {
		t.Errorf("no steps: %+v, want a good answer", got)
	}

	b := resiliencetest.New(1)
	b.Node("a", steps)
	node := &selector.Node{ID: "a"}
	b.Run(func() {
		for _, want := range []time.Duration{1, 2, 2} {
			begin := b.Elapsed()
			if err := b.Op(t.Context(), node); err != nil || b.Elapsed()-begin != want {
				t.Errorf("%v after %v, want %v", err, b.Elapsed()-begin, want)
			}
		}
		b.Node("a", steps) // from its beginning
		if err := b.Op(t.Context(), nil); err != nil {
			t.Error("without a node:", err)
		}
		begin := b.Elapsed()
		if err := b.Op(t.Context(), node); err != nil || b.Elapsed()-begin != 1 {
			t.Errorf("%v after %v, want the first step again", err, b.Elapsed()-begin)
		}
	})
	if n := b.Attempts("a"); n != 4 {
		t.Errorf("%d attempts, want 4", n)
	}
	if n := b.Attempts("b"); n != 0 {
		t.Errorf("%d attempts at a node that nobody knows", n)
	}
}

// TestSource: clients hear of changes while they run, and not after Close.
func TestSource(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(1)
	b.Node("a", nil)
	one, two := client(t, b, resilience.Config{}), client(t, b, resilience.Config{})
	ids := func(c *resilience.Client) string {
		var list []string
		for _, s := range c.Selector().Nodes() {
			list = append(list, s.Node.ID)
		}
		return strings.Join(list, " ")
	}
	b.Run(func() {
		b.Sleep(time.Second)
		b.Node("b", nil)
		b.Node("b", nil) // again, which changes nothing
		if ids(one) != "a b" || ids(two) != "a b" {
			t.Errorf("%q and %q, want a b", ids(one), ids(two))
		}
		if err := two.Close(); err != nil {
			t.Error(err)
		}
		b.SetNodes(selector.Node{ID: "c", Weight: 3})
		b.FailSource(errors.New("unreadable"))
		if ids(one) != "c" {
			t.Errorf("%q, want c", ids(one))
		}
	})
	log := b.Log()
	for _, want := range []string{"0s  nodes changed: 1, 1 new, 0 gone\n", "1s  nodes changed: 2, 1 new, 0 gone\n", "1s  source failed: unreadable\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// TestNoNodes: a client of a bench without nodes has the one anonymous node.
func TestNoNodes(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(1)
	c := client(t, b, resilience.Config{})
	b.Run(func() {
		if err := c.Do(t.Context(), resilience.Safe("m"), b.Op); err != nil {
			t.Error(err)
		}
	})
	if b.Attempts("") != 1 {
		t.Error("the anonymous node was not called")
	}
}

// TestRun: what is started inside has ended when it returns; time goes on in
// the next Run; contexts end in virtual time.
func TestRun(t *testing.T) {
	t.Parallel()
	b := resiliencetest.New(1)
	done := 0
	for range 2 {
		b.Run(func() {
			b.Go(func() { b.Sleep(time.Hour); done++ })
			ctx, cancel := b.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := b.Clock().Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			done++
		})
	}
	if done != 4 || b.Elapsed() != 2*time.Hour {
		t.Errorf("%d done in %v, want 4 in 2h", done, b.Elapsed())
	}
}

// TestRunSaysWhatIsWrong: assertions that are never reached must not pass.
func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	run := func(f func(*resiliencetest.Bench)) (text string) {
		b := resiliencetest.New(1)
		b.Node("a", resiliencetest.Steps(resiliencetest.Reply{Hang: true}))
		defer func() {
			switch r := recover().(type) {
			case nil:
			case error:
				text = r.Error()
			case string:
				text = r
			}
		}()
		b.Run(func() { f(b) })
		return ""
	}
	hang := func(b *resiliencetest.Bench) {
		c := client(t, b, resilience.Config{})
		_ = c.Do(context.Background(), resilience.Safe("m"), b.Op)
		t.Error("returned")
	}
	if text := run(hang); !strings.Contains(text, "1 function(s) wait for what never happens") {
		t.Errorf("a hang: %q", text)
	}
	if text := run(func(*resiliencetest.Bench) { panic("boom") }); !strings.Contains(text, "boom") {
		t.Errorf("a panic: %q", text)
	}
	if text := run(func(b *resiliencetest.Bench) { b.Sleep(time.Hour) }); text != "" {
		t.Errorf("nothing wrong: %q", text)
	}
}

// TestSeed: the same seed, the same log; another seed, another.
func TestSeed(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) string {
		b := resiliencetest.New(seed)
		for _, id := range []string{"a", "b", "c"} {
			b.Node(id, resiliencetest.Steps(resiliencetest.Reply{After: ms}, resiliencetest.Reply{Outcome: resilience.Ambiguous}, resiliencetest.Reply{After: 2 * ms}))
		}
		c := client(t, b, resilience.Config{})
		b.Run(func() {
			for range 20 {
				b.Go(func() { _ = c.Do(t.Context(), resilience.Safe("m"), b.Op) })
				b.Sleep(ms / 2)
			}
		})
		return b.Log()
	}
	one, same, other := play(1), play(1), play(2)
	if one != same {
		t.Error("two runs of one seed differ")
	}
	if one == other {
		t.Error("two seeds give the same run")
	}
	if !strings.Contains(one, "waits") {
		t.Error("nothing was tried again")
	}
}

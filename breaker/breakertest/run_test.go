package breakertest

import (
	"slices"
	"strings"
	"testing"
)

// What is wrong with a subject is said before any case runs.
func TestWrongSubjects(t *testing.T) {
	got := Subject{Limits: map[string]string{"no such case": "because", "closed": ""}}.wrong()
	slices.Sort(got)
	want := []string{
		"Failures: want at least 1",
		`Limits: "closed" has no reason`,
		`Limits: there is no case "no such case"`,
		"New is nil",
		"OpenFor: want more than 0",
		"ProbeTimeout: want more than 0",
		"Probes: want at least 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if wrong := subject("").wrong(); len(wrong) > 0 {
		t.Errorf("a good subject: %v", wrong)
	}
}

// A declared limit that does not exist fails the suite: its case passes.
func TestFalseDeclaration(t *testing.T) {
	if verdict, ok := judge(item{holds: "it flies"}, "no wings", true, nil); ok || !strings.Contains(verdict, "it flies") || !strings.Contains(verdict, "no wings") {
		t.Errorf("got %v, %q", ok, verdict)
	}
	if verdict, ok := judge(item{holds: "it flies"}, "no wings", true, []string{"it fell"}); !ok || !strings.Contains(verdict, "it fell") || !strings.Contains(verdict, "no wings") {
		t.Errorf("got %v, %q", ok, verdict)
	}
	if verdict, ok := judge(item{holds: "it flies"}, "", false, []string{"it fell", "twice"}); ok || !strings.Contains(verdict, "twice") {
		t.Errorf("got %v, %q", ok, verdict)
	}
	if verdict, ok := judge(item{}, "", false, nil); !ok || verdict != "" {
		t.Errorf("got %v, %q", ok, verdict)
	}
}

// What a case did not find comes back from a child process too, and so does
// its death.
func TestChildren(t *testing.T) {
	s := subject("tells no delay", "goroutines")
	if inChild(t, s) {
		return
	}
	for _, c := range contract {
		if c.name != "retry-after" && c.name != "closed" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			got, want := c.inProcess(t), c.inBubble(t, s)
			if !slices.Equal(got, want) || (c.name == "closed") != (len(got) == 0) {
				t.Errorf("the child found %q, we %q", got, want)
			}
		})
	}
}

func TestADeadChild(t *testing.T) {
	s := subject("tells under its lock")
	if inChild(t, s) {
		return
	}
	i := slices.IndexFunc(contract, func(c item) bool { return c.name == "listener-calls-back" })
	t.Run("case", func(t *testing.T) {
		if got := contract[i].inProcess(t); len(got) != 1 || !strings.Contains(got[0], "the process died") || !strings.Contains(got[0], "deadlock") {
			t.Errorf("got %q", got)
		}
	})
}

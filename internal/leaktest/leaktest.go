// Package leaktest finds goroutines that outlive the tests that started them.
package leaktest

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a goroutine that is about to end may take. It costs
// nothing where all have ended.
const patience = 5 * time.Second

// Main runs a package's tests and exits. It fails them when goroutines are
// left:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
func Main(m *testing.M) {
	before := running()
	code := m.Run()
	if code == 0 && !report(os.Stderr, before, patience) {
		code = 1
	}
	os.Exit(code)
}

// Check fails t when goroutines that did not exist yet are left at its end.
// Other tests must not run at the same time.
func Check(t testing.TB) {
	t.Helper()
	before := running()
	t.Cleanup(func() {
		t.Helper()
		var text strings.Builder
		if !report(&text, before, patience) {
			t.Error(text.String())
		}
	})
}

// report waits for goroutines that are not in before to end, and writes about
// those that do not.
func report(w io.Writer, before map[string]string, patience time.Duration) (ok bool) {
	left := since(before)
	for end := time.Now().Add(patience); len(left) > 0 && time.Now().Before(end); left = since(before) {
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
	if len(left) == 0 {
		return true
	}
	fmt.Fprintf(w, "%d goroutine(s) left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
	return false
}

func since(before map[string]string) (stacks []string) {
	for id, stack := range running() {
		if _, known := before[id]; !known {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// running returns the stacks of all goroutines but the caller's and those of
// the testing package, by their number.
func running() map[string]string {
	buf := make([]byte, 1<<16)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	goroutines := make(map[string]string)
	for i, stack := range strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n") {
		if i == 0 || ours(stack) {
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		goroutines[id] = stack
	}
	return goroutines
}

// ours reports whether a goroutine belongs to the test binary itself: the one
// in m.Run, those that wait for subtests, and the fuzzer's.
func ours(stack string) bool {
	for _, f := range []string{"testing.(*M).", "testing.(*T).Run(", "testing.(*T).Parallel(", "testing.(*F).", "testing.runFuzz", "os/signal.signal_recv"} {
		if strings.Contains(stack, "\n"+f) {
			return true
		}
	}
	return false
}

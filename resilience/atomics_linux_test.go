//go:build amd64

package resilience_test

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// TestAtomics counts the locked instructions of a healthy call, by stepping
// through one in a child process: at most four are ours.
//
// The child runs each of its regions between two marks on its main thread and
// stops itself before each; the parent traces that thread alone, and looks at
// every instruction before it is executed.
func TestAtomics(t *testing.T) {
	if raceDetector || testing.CoverMode() != "" {
		t.Skip("instrumented code has atomics of its own")
	}
	runtime.LockOSThread() // ptrace wants all its requests from one thread
	defer runtime.UnlockOSThread()
	regions := traceChild(t)
	if len(regions) != 1+healthyRegions {
		t.Fatalf("%d regions were run, want %d", len(regions), 1+healthyRegions)
	}
	if n := regions[0].locked[regionName(controlRegion)]; n != controlAtomics {
		t.Fatalf("the control region: %d locked instructions, want %d: %v", n, controlAtomics, regions[0].locked)
	}
	for _, r := range regions[1:] {
		ours, pool, scheduler := map[string]int{}, 0, 0
		n := 0
		for name, k := range r.locked {
			switch {
			case strings.HasPrefix(name, "sync."):
				pool += k
			case strings.HasPrefix(name, "runtime."), strings.HasPrefix(name, "internal/runtime/"):
				scheduler += k // stepping takes so long that it is called for
			default:
				ours[name] = k
				n += k
			}
		}
		t.Logf("%d locked instructions: %v; of sync.Pool: %d, of the scheduler: %d; %d instructions in all", n, ours, pool, scheduler, r.instructions)
		if r.instructions < 100 {
			t.Errorf("%d instructions: that was no call", r.instructions)
		}
		if n > 4 || pool > 0 {
			t.Errorf("%d atomics in a healthy call, want at most 4: %v", n, r.locked)
		}
	}
}

const (
	childEnv       = "HOLDFAST_ATOMICS_CHILD"
	healthyRegions = 3
	controlAtomics = 4
)

func init() {
	if os.Getenv(childEnv) != "" {
		runtime.LockOSThread() // in init: the main goroutine on the main thread
	}
}

func init() { atomicsChild = runRegions }

// runRegions is the child's main function.
func runRegions() (isChild bool) {
	if os.Getenv(childEnv) == "" {
		return false
	}
	client, err := resilience.New(config{Nodes: selector.Addrs("a", "b", "c"), Settings: sets{Strategy: "round-robin"}})
	if err != nil {
		panic(err)
	}
	hint := resilience.Safe("m")
	op := func(context.Context, *selector.Node) error { return nil }
	ctx := context.Background()
	healthy := func() { _ = client.Do(ctx, hint, op) }
	for range 1000 { // in turns: the first calls at a node write more
		healthy()
	}
	if err := client.Update(sets{}); err != nil {
		panic(err)
	}
	fmt.Printf("%x\n", reflect.ValueOf(regionBegin).Pointer())
	region(controlRegion)
	for range healthyRegions {
		region(healthy)
	}
	return client.Close() == nil
}

func region(f func()) {
	if err := syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGSTOP); err != nil {
		panic(err)
	}
	regionBegin()
	f()
	regionEnd()
}

var regionMark int

//go:noinline
func regionBegin() { regionMark++ }

//go:noinline
func regionEnd() { regionMark-- }

// controlRegion is what the counter must count: LOCK XADD, LOCK CMPXCHG and
// XCHG with memory, which locks by itself.
//
//go:noinline
func controlRegion() {
	control.Add(1)
	control.CompareAndSwap(1, 2)
	control.Store(3)
	control.Swap(4)
	_ = control.Load() // a plain load
}

var control atomic.Uint64

func regionName(f func()) string { return runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name() }

// TestLocked: the decoder, on what an assembler makes of it.
func TestLocked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code string
		want bool
		what string
	}{
		{"\xf0\x48\x0f\xc1\x08", true, "lock xadd %rcx,(%rax)"},
		{"\xf0\x0f\xb1\x11", true, "lock cmpxchg %edx,(%rcx)"},
		{"\xf0\x83\x44\x24\xc0\x00", true, "lock addl $0,-0x40(%rsp)"},
		{"\x48\x87\x08", true, "xchg %rcx,(%rax)"},
		{"\x87\x05\x00\x00\x00\x00", true, "xchg %eax,0(%rip)"},
		{"\x86\x03", true, "xchg %al,(%rbx)"},
		{"\x48\x87\xca", false, "xchg %rcx,%rdx"},
		{"\x48\x8b\x08", false, "mov (%rax),%rcx"},
		{"\x48\x0f\xc1\x08", false, "xadd without lock"},
		{"\x90", false, "nop"},
		{"\x66\x90", false, "xchg %ax,%ax"},
		{"\x48\xc7\xc0\xf0\x00\x00\x00", false, "mov $0xf0,%rax"},
	}
	for _, tt := range tests {
		if locked([]byte(tt.code)) != tt.want {
			t.Errorf("%s: %v", tt.what, !tt.want)
		}
	}
}

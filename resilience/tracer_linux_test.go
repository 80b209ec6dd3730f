//go:build amd64

package resilience_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"syscall"
	"testing"
)

// tracedRegion is what was executed in a region.
type tracedRegion struct {
	instructions int
	locked       map[string]int // by function
}

// traceChild starts this test binary again, as the child, and steps through
// its regions.
func traceChild(t *testing.T) (regions []tracedRegion) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	child, err := os.StartProcess(exe, []string{exe}, &os.ProcAttr{
		Env:   append(os.Environ(), childEnv+"=1", "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1"),
		Files: []*os.File{nil, childOut, os.Stderr},
		Sys:   &syscall.SysProcAttr{Ptrace: true},
	})
	_ = childOut.Close()
	if err != nil {
		t.Skipf("tracing a child is not permitted here: %v", err)
	}
	tr := tracer{t: t, pid: child.Pid, out: bufio.NewReader(out), code: map[uintptr]bool{}}
	defer tr.kill()
	if sig := tr.wait(); sig != syscall.SIGTRAP {
		t.Fatalf("the child stopped by %v, want the trap of its start", sig)
	}
	for tr.run() {
		regions = append(regions, tr.step())
	}
	return regions
}

type tracer struct {
	t     *testing.T
	pid   int
	out   *bufio.Reader
	slide uintptr // where the child's code lies, relative to ours
	known bool
	over  bool
	code  map[uintptr]bool // of the instructions seen: which of them lock
}

// wait returns the signal that the child has stopped by; 0: it has ended.
func (tr *tracer) wait() syscall.Signal {
	tr.t.Helper()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(tr.pid, &status, syscall.WALL, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		tr.check(err)
		break
	}
	if status.Stopped() {
		return status.StopSignal()
	}
	tr.over = true
	if status.ExitStatus() != 0 {
		tr.t.Fatalf("the child ended with %v", status)
	}
	return 0
}

// run lets the child run up to the next region, or its end.
func (tr *tracer) run() (more bool) {
	sig := syscall.Signal(0)
	for {
		tr.check(syscall.PtraceCont(tr.pid, int(sig)))
		switch sig = tr.wait(); sig {
		case 0:
			return false
		case syscall.SIGSTOP:
			if tr.known {
				return true
			}
			line, err := tr.out.ReadString('\n')
			tr.check(err)
			var begin uintptr
			_, err = fmt.Sscanf(line, "%x", &begin)
			tr.check(err)
			tr.slide, tr.known = begin-reflect.ValueOf(regionBegin).Pointer(), true
			return true
		}
	}
}

// step goes through one region.
func (tr *tracer) step() tracedRegion {
	r := tracedRegion{locked: map[string]int{}}
	begin, end := reflect.ValueOf(regionBegin).Pointer(), reflect.ValueOf(regionEnd).Pointer()
	var regs syscall.PtraceRegs
	var code [15]byte // no instruction is longer
	for inside := false; ; {
		tr.check(syscall.PtraceGetRegs(tr.pid, &regs))
		pc := uintptr(regs.Rip) - tr.slide
		inside = inside || pc == begin
		if pc == end {
			return r
		}
		if inside {
			r.instructions++
			isLocked, seen := tr.code[pc]
			if !seen {
				_, err := syscall.PtracePeekText(tr.pid, uintptr(regs.Rip), code[:])
				tr.check(err)
				isLocked = locked(code[:])
				tr.code[pc] = isLocked
			}
			if isLocked {
				r.locked[ownerOf(pc)]++
			}
		}
		tr.check(syscall.PtraceSingleStep(tr.pid))
		if sig := tr.wait(); sig != syscall.SIGTRAP && sig != syscall.SIGURG {
			tr.t.Fatalf("the child stopped by %v in a region", sig)
		}
	}
}

func (tr *tracer) check(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tracer) kill() {
	if tr.over {
		return
	}
	_ = syscall.Kill(tr.pid, syscall.SIGKILL)
	var status syscall.WaitStatus
	for !status.Exited() && !status.Signaled() {
		if _, err := syscall.Wait4(tr.pid, &status, syscall.WALL, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// ownerOf names the function at pc, after inlining: what is inlined into a
// function belongs to it.
func ownerOf(pc uintptr) string {
	f := runtime.FuncForPC(pc) // the innermost, at the entry of the outermost
	if f == nil {
		return "unknown"
	}
	return runtime.FuncForPC(f.Entry()).Name()
}

// locked reports whether an instruction locks the bus: it has a LOCK prefix,
// or it is an XCHG with memory (Intel SDM vol. 3, §9.1.2).
func locked(code []byte) bool {
	for i, b := range code {
		switch {
		case b == 0xf0: // LOCK
			return true
		case b == 0x66, b == 0x67, b == 0xf2, b == 0xf3, b&0xe7 == 0x26, b == 0x64, b == 0x65, b&0xf0 == 0x40: // other prefixes, REX
		case b&0xfe == 0x86 && i+1 < len(code): // XCHG
			return code[i+1]>>6 != 3 // not between two registers
		default:
			return false
		}
	}
	return false
}

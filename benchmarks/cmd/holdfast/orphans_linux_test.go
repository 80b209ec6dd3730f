package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
)

// However the command ends, its processes end with it: the stopped one too.
func TestNoProcessIsLeftBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		code   int
	}{
		{"SIGKILL", syscall.SIGKILL, -1},
		{"SIGINT", syscall.SIGINT, cli.Interrupted},
		{"SIGTERM", syscall.SIGTERM, cli.Interrupted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "failover", "-duration", "6s", "-fault", "stop", "-rate", "50")
			cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+temp)
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stderr)
			var last string
			for lines.Scan() {
				if last = lines.Text(); strings.Contains(last, "SIGSTOP") {
					break
				}
			}
			children := childrenOf(t, cmd.Process.Pid)
			if len(children) != 4 {
				t.Errorf("%d children, want 4; it said: %s", len(children), last)
			}
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
				last = lines.Text()
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != c.code {
				t.Errorf("%v, want exit code %d; it said: %s", err, c.code, last)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			for _, pid := range children {
				gone(ctx, t, pid)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// childrenOf reads /proc.
func childrenOf(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		if f := stat(path); len(f) > 1 && f[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat returns the fields behind the name: state, parent, …; nil when the
// process is gone.
func stat(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	s := string(data)
	return strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
}

// gone waits until the process has ended; whether anybody has asked for its
// exit code is not its affair.
func gone(ctx context.Context, t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		f := stat(fmt.Sprintf("/proc/%d/stat", pid))
		if f == nil || f[0] == "Z" || f[0] == "X" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("process %d lives on in state %s", pid, f[0])
			return
		}
	}
}

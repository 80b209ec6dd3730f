package harness

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// childAttr has the kernel kill the child when its parent's thread ends, and
// keeps a terminal's Ctrl-C from it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// stopped reports whether the kernel has stopped the process.
func stopped(pid int) (bool, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false, err
	}
	// The state follows the name, which may hold anything, parentheses too.
	i := bytes.LastIndex(stat, []byte(") "))
	return i >= 0 && len(stat) > i+2 && stat[i+2] == 'T', nil
}

//go:build unix

package harness

import (
	"os"
	"syscall"
)

// pause stops a process; it has stopped when stopped says so.
func pause(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// resume lets it go on.
func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// terminate asks it to end.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// possible returns why it cannot be done on this system, or nil.
func (Deed) possible() error { return nil }

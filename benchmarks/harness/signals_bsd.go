//go:build unix && !linux

package harness

import "syscall"

// childAttr keeps a terminal's Ctrl-C from the child. There is no parent death
// signal here: the end of its standard input ends it.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// stopped believes the signal: there is no /proc to ask.
func stopped(int) (bool, error) { return true, nil }

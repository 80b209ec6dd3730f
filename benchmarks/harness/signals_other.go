//go:build !unix

package harness

import (
	"errors"
	"os"
	"syscall"
)

func childAttr() *syscall.SysProcAttr { return nil }

func pause(*os.Process) error { return errors.ErrUnsupported }

func resume(*os.Process) error { return errors.ErrUnsupported }

func stopped(int) (bool, error) { return false, errors.ErrUnsupported }

func terminate(*os.Process) error { return errors.ErrUnsupported }

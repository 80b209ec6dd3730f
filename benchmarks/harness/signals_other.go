//go:build !unix

package harness

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

func childAttr() *syscall.SysProcAttr { return nil }

func pause(*os.Process) error { return errors.ErrUnsupported }

func resume(*os.Process) error { return errors.ErrUnsupported }

func stopped(int) (bool, error) { return false, errors.ErrUnsupported }

func terminate(*os.Process) error { return errors.ErrUnsupported }

// possible returns why it cannot be done on this system, or nil.
func (d Deed) possible() error {
	if d == DoStop || d == DoDrain {
		return fmt.Errorf("%s: %w on this system", d, errors.ErrUnsupported)
	}
	return nil
}

//go:build !linux || !amd64

package resilience_test

import "testing"

func TestAtomics(t *testing.T) {
	t.Skip("instructions are counted by ptrace and decoded for amd64: linux/amd64 only")
}

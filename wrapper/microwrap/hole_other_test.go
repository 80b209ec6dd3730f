//go:build !linux

package microwrap_test

import (
	"net"
	"testing"
)

func fill(t testing.TB, _ *net.TCPListener) string {
	t.Helper()
	t.Skip("a listener's queue cannot be filled here")
	return ""
}

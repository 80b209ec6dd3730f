package hystrix

import "testing"

// InChild is inChild for tests that see the package from outside.
func InChild[T any](t *testing.T, f func() T) T {
	t.Helper()
	return inChild(t, f)
}

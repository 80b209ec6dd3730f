package realserver

import (
	"errors"
	"os"
	"testing"
)

// For starts a server for a test, and ends it with the test. Where it is not
// installed, the test is skipped; with CI=true it fails.
func For(t testing.TB, start func(...string) (*Server, error), args ...string) *Server {
	t.Helper()
	s, err := start(args...)
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

package boltstore_test

import (
	"path/filepath"
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/boltstore"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/storetest"
)

func open(t testing.TB, cfg boltstore.Config) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	// Whether it is written to the disk is another test's.
	s := open(t, boltstore.Config{Path: filepath.Join(t.TempDir(), "keys.db"), NoSync: true})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	storetest.Run(t, func(*testing.T) idempotency.Store { return s })
}

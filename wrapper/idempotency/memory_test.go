package idempotency_test

import (
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/storetest"
)

func TestMemoryContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) idempotency.Store { return idempotency.NewMemory(idempotency.MemoryConfig{}) })
}

package httpwrap

import (
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// TestWords: client and server mean the same by them.
func TestWords(t *testing.T) {
	t.Parallel()
	for ours, theirs := range map[string]string{
		keyName: idempotency.HeaderKey, wordName: idempotency.HeaderStatus, expiresName: idempotency.HeaderExpires,
		wordReplayed: idempotency.Replayed, wordInProgress: idempotency.InProgress,
		wordUnknown: idempotency.Unknown, wordNotExecuted: idempotency.NotExecuted,
	} {
		if ours != theirs {
			t.Errorf("%q and %q", ours, theirs)
		}
	}
}

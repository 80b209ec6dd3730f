package stacks

import (
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// What every such library leaves to its user, the same for all of them.
// Attempts and the first pause are holdfast's defaults.
const (
	attempts       = 3
	firstPause     = 25 * time.Millisecond
	attemptTimeout = 250 * time.Millisecond
)

const sameForAll = "left to the user and the same for all peers: 3 attempts, pauses from 25 ms, 250 ms an attempt, nodes in turn"

// turns is round robin.
type turns struct {
	nodes int
	next  atomic.Uint64
}

// through hands an attempt to the next node whose breaker lets it in. It
// returns the last rejection if none does.
func (t *turns) through(rejected func(error) bool, attempt func(node int) (string, error)) (answer string, err error) {
	for range t.nodes {
		answer, err = attempt(int(t.next.Add(1) % uint64(t.nodes)))
		if err == nil || !rejected(err) {
			break
		}
	}
	return answer, err
}

// pauses are backoff's, for one call.
func pauses() backoff.BackOff {
	return backoff.WithMaxRetries(backoff.NewExponentialBackOff(backoff.WithInitialInterval(firstPause)), attempts-1)
}

package harness

import (
	"context"
	"time"
)

// Hello is the service behind the user API, without a protocol: a [Stack]
// gives it one. It is safe for concurrent use.
type Hello struct {
	node   string
	ledger *Ledger
	work   time.Duration
}

// Node is the ID of the instance.
func (h *Hello) Node() string { return h.node }

// Serve carries out one attempt of a call and returns its answer, the node's
// ID. It keeps the ledger. As many services do, it goes on when its caller has
// gone. It fails when the request is not one that a ledger can hold.
func (h *Hello) Serve(_ context.Context, route Route, id string, attempt int) (string, error) {
	r := Record{Kind: Begun, Route: route, ID: id, Attempt: attempt, Node: h.node}
	if err := h.ledger.Write(r); err != nil {
		return "", err
	}
	<-time.After(h.work / 2)
	if route == Post {
		r.Kind = Applied
		if err := h.ledger.Write(r); err != nil {
			return "", err
		}
	}
	<-time.After(h.work / 2)
	r.Kind = Ended
	if err := h.ledger.Write(r); err != nil {
		return "", err
	}
	return h.node, nil
}

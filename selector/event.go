package selector

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Kind is what happened to a node or to the set.
type Kind uint8

// The kinds of events.
const (
	NodesChanged Kind = iota // the source reported another set
	SourceFailed             // the source could not be read or believed; the last good set stays
	Ejected                  // a node was taken out
	ProbeFailed              // an ejected node was tried and stays out
	Readmitted               // an ejected node is back, on a slow start
	Prevented                // a node should go, and the cap on ejections keeps it
	Suspected                // a node is silent: it gets no new call while others can take it
	Cleared                  // a suspect has answered
	Spared                   // a node has failed enough to go, but the others do no better: an ill service ejects nobody
)

// String returns the kind in words.
func (k Kind) String() string {
	names := [...]string{"nodes changed", "source failed", "ejected", "probe failed", "readmitted", "ejection prevented", "suspected", "cleared", "spared"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Event is one change of the set. Fields that do not apply are zero.
type Event struct {
	Kind    Kind
	At      time.Time
	Node    *Node
	OpenFor time.Duration  // how long the node will stay out at least
	Reason  breaker.Reason // why, with numbers
	Err     error          // what SourceFailed came from

	Nodes, Added, Removed int // of NodesChanged
}

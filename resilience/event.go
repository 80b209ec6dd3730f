package resilience

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// EventKind is what an [Event] tells of.
type EventKind uint8

// The kinds of events.
const (
	AttemptDone         EventKind = iota // an attempt ended, well or not
	RetryWaiting                         // another attempt will start after Wait; or before, if any, of a call that waits for the service: see Settings.Await
	CallDone                             // the call ended, well or not
	NodeEvent                            // a node or the set changed: see Node.Change
	ServiceBreakerEvent                  // the service breaker changed: see Event.Breaker
	FallbackDone                         // after CallDone: the fallback answered in its place, or failed too
	ClientOpened                         // a client was made: see Event.Client. Nothing was called yet
	ClientClosed                         // it was closed: calls that are under way may still be told of
	SettingsChanged                      // Config.SettingsFrom reported others, which are in force
	SettingsRefused                      // it reported some that are wrong, or could not be read: see Err. The old ones stay
	CandidateEvent                       // what Client.Shadow's candidate would have done: see Change, or Breaker
)

// String returns the kind in words.
func (k EventKind) String() string {
	names := [...]string{"attempt done", "retry waiting", "call done", "node", "service breaker", "fallback done", "client opened", "client closed", "settings changed", "settings refused", "candidate"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event is something that happened to a call, a node or a breaker. It is a
// value and may be kept, best without its Context. Fields that do not apply are zero.
type Event struct {
	Kind        EventKind
	Context     context.Context // the call's, within Config.Wrap: for whom its values matter; nil outside of calls
	At          time.Time
	Service     string
	Method      string
	Idempotency retry.Idempotency
	Attempt     int            // the attempt's number; of CallDone and FallbackDone, how many there were
	Node        *selector.Node // where the attempt went
	Probe       bool           // the attempt went to an ejected node, to see whether it is well
	Outcome     Outcome        // what the attempt came to; of CallDone the last one, Rejected if the call was turned away before the first
	Start       time.Time      // of the attempt or the call
	Elapsed     time.Duration
	Wait        time.Duration // of RetryWaiting
	Why         retry.Reason  // of CallDone: why there was no further attempt
	Ambiguous   bool          // of CallDone: it failed and may have been carried out
	Err         error

	Change  *selector.Event // of NodeEvent and CandidateEvent
	Breaker *breaker.Event  // of ServiceBreakerEvent and CandidateEvent
	Client  *Client         // of ClientOpened, ClientClosed, SettingsChanged and SettingsRefused
}

// Observer hears what happens. It is called on the goroutine it happens on,
// outside every lock, possibly concurrently: it must be quick and safe for
// concurrent use. Node events come in order.
type Observer interface {
	Observe(Event)
}

// Watcher is an Observer of many clients that keeps them apart: it makes an
// Observer for each, which New asks it for and which then hears that client
// alone.
type Watcher interface {
	Observer

	// Watch returns the observer of a client that is being made. If it comes
	// to be, the first it hears is ClientOpened, except for what its nodes'
	// source reports at once.
	Watch(service string) Observer
}

// ObserverFunc is a function as an [Observer].
type ObserverFunc func(Event)

// Observe implements [Observer].
func (f ObserverFunc) Observe(e Event) { f(e) }

// Observers tells several.
func Observers(list ...Observer) Observer { return observers(list) }

type observers []Observer

func (list observers) Observe(e Event) {
	for _, o := range list {
		if o != nil {
			o.Observe(e)
		}
	}
}

// Watch implements [Watcher], for those in the list that are one.
func (list observers) Watch(service string) Observer {
	told := make(observers, len(list))
	for i, o := range list {
		told[i] = watched(o, service)
	}
	return told
}

// watched is who hears of a client whose Config names o.
func watched(o Observer, service string) Observer {
	if w, ok := o.(Watcher); ok {
		return w.Watch(service)
	}
	return o
}

func attemptEvent(ctx context.Context, a *Call, err error) Event {
	if err == nil {
		a.try.outcome = Succeeded
	}
	return Event{
		Kind: AttemptDone, Context: ctx, At: a.ended(), Service: a.Service, Method: a.Method, Idempotency: a.Idempotency,
		Attempt: a.Attempt, Node: a.Node, Probe: a.Probe(), Outcome: a.try.outcome,
		Start: a.Start(), Elapsed: a.try.elapsed, Err: err,
	}
}

func retryEvent(ctx context.Context, a *Call, wait time.Duration) Event {
	return Event{
		Kind: RetryWaiting, Context: ctx, At: a.ended(), Service: a.Service, Method: a.Method, Idempotency: a.Idempotency,
		Attempt: a.Attempt, Node: a.Node, Outcome: a.try.outcome, Start: a.Start(), Wait: wait,
	}
}

func callEvent(ctx context.Context, call *Call, at time.Time, attempts int, last Outcome, why retry.Reason, err error) Event {
	return Event{
		Kind: CallDone, Context: ctx, At: at, Service: call.Service, Method: call.Method, Idempotency: call.Idempotency,
		Attempt: attempts, Outcome: last, Start: call.Start(), Elapsed: at.Sub(call.Start()),
		Why: why, Ambiguous: IsAmbiguous(err), Err: err,
	}
}

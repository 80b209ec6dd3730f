package board

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Order is what is posted to …/steer, as JSON, by who may.
//
// To a node ("node" is set):
//   - "eject" and "readmit": as the ejector would; what is ejected is probed,
//     and comes back when it is well.
//   - "hold" and "release": a held node gets no call while another can take it,
//     however well it is.
//   - where the node's breaker trips by a rule of its own, what a service
//     breaker is told, too.
//
// To a service's breaker: "trip", "reset", "force-open", "force-closed",
// "auto", "shadow-on", "shadow-off".
//
// To a service: "settings", which changes what Settings names and leaves the
// rest; "candidate", which runs what is in force with these changes beside it
// (see [resilience.Client.Shadow]), "candidate-off", which ends that, and
// "candidate-adopt", which puts the candidate into force.
type Order struct {
	Service  string          `json:"service"` // as State names it
	Node     *string         `json:"node,omitempty"`
	Do       string          `json:"do"`
	Why      string          `json:"why"` // for the log; required
	Settings json.RawMessage `json:"settings,omitempty"`
}

// problem is an order that cannot be carried out.
type problem struct {
	code int
	text string
}

func (p *problem) Error() string { return p.text }

func refuse(code int, format string, args ...any) error {
	return &problem{code, fmt.Sprintf(format, args...)}
}

const maxOrder = 64 << 10 // bytes

// serveSteer carries out an order. Who asks is asked before anything is read
// or said.
func (b *Board) serveSteer(w http.ResponseWriter, r *http.Request) {
	who, ok := b.cfg.Steer.admit(w, r)
	if !ok {
		return
	}
	err := b.origins.Check(r)
	if err != nil {
		err = refuse(http.StatusForbidden, "not from another origin")
	} else {
		err = b.steer(w, r, who)
	}
	var p *problem
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &p):
		http.Error(w, p.text, p.code)
	default:
		http.Error(w, err.Error(), http.StatusConflict)
	}
}

func (b *Board) steer(w http.ResponseWriter, r *http.Request, who string) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "want application/json")
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	dec.DisallowUnknownFields()
	var o Order
	if err := dec.Decode(&o); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return refuse(http.StatusRequestEntityTooLarge, "want at most %d bytes", maxOrder)
		}
		return refuse(http.StatusBadRequest, "%v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "want one order")
	}
	if o.Why = strings.TrimSpace(o.Why); o.Why == "" || len(o.Why) > maxText {
		return refuse(http.StatusBadRequest, "why: want a reason for the log, of at most %d bytes", maxText)
	}
	s, c := b.find(o.Service)
	if c == nil {
		return refuse(http.StatusNotFound, "service %q: there is none that can be steered", o.Service)
	}
	if err := o.carryOut(b, c, who+": "+o.Why); err != nil {
		return err
	}
	entry := Entry{At: c.Clock().Now(), Service: s.name, Kind: "steered", Who: who, Did: o.Do, Why: o.Why}
	if o.Node != nil {
		entry.Node = *o.Node
	}
	if o.Settings != nil {
		entry.Did += " " + short(string(o.Settings))
	}
	b.log.add(entry)
	return nil
}

// find returns the service that is shown under a name.
func (b *Board) find(name string) (*service, *resilience.Client) {
	seen := make(names)
	for _, s := range b.list() {
		if seen.unique(s.name) == name {
			return s, s.client.Load()
		}
	}
	return nil, nil
}

func (o *Order) carryOut(b *Board, c *resilience.Client, note string) error {
	switch {
	case o.Do == "settings", o.Do == "candidate":
		return o.change(b, c)
	case o.Settings != nil:
		return refuse(http.StatusBadRequest, "settings: want none with %q", o.Do)
	case o.Do == "candidate-off", o.Do == "candidate-adopt":
		return o.endCandidate(b, c)
	case o.Node != nil:
		return o.steerNode(c, note)
	}
	guard := c.ServiceBreaker()
	if guard == nil {
		return refuse(http.StatusConflict, "the service has no breaker of its own; name a node?")
	}
	return o.steerBreaker(guard, note)
}

// change puts the settings that are named into force, or beside it.
func (o *Order) change(b *Board, c *resilience.Client) error {
	if o.Node != nil || o.Settings == nil {
		return refuse(http.StatusBadRequest, "settings: want some, and no node")
	}
	b.changing.Lock() // two who change different things both do
	defer b.changing.Unlock()
	s := c.Settings()
	if err := json.Unmarshal(o.Settings, &s); err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	err := error(nil)
	if o.Do == "candidate" {
		err = c.Shadow(&s)
	} else {
		err = c.Update(s)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	return nil
}

func (o *Order) endCandidate(b *Board, c *resilience.Client) error {
	if o.Node != nil {
		return refuse(http.StatusBadRequest, "%q: want no node", o.Do)
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	candidate := c.Candidate()
	if candidate == nil {
		return refuse(http.StatusConflict, "%q: no candidate runs", o.Do)
	}
	if o.Do == "candidate-adopt" {
		if err := c.Update(candidate.Settings); err != nil {
			return err
		}
	}
	return c.Shadow(nil)
}

func (o *Order) steerNode(c *resilience.Client, note string) error {
	sel := c.Selector()
	switch o.Do {
	case "eject":
		return sel.Eject(*o.Node, note)
	case "readmit":
		return sel.Readmit(*o.Node, note)
	case "hold", "release":
		return sel.SetReady(*o.Node, o.Do == "release")
	}
	for _, status := range sel.Nodes() {
		if status.Node.ID != *o.Node {
			continue
		}
		if !ownRule(&status) {
			return refuse(http.StatusConflict, "%q: want eject, readmit, hold or release, for the ejector decides about this node", o.Do)
		}
		return o.steerBreaker(status.Breaker, note)
	}
	return refuse(http.StatusNotFound, "node %q: not in the set", *o.Node)
}

// forcible is a breaker that can be told more than a Tripper.
type forcible interface {
	Force(mode breaker.Mode, note string)
	SetShadow(on bool)
}

func (o *Order) steerBreaker(b breaker.Breaker, note string) error {
	tripper, trips := b.(breaker.Tripper)
	native, forces := b.(forcible)
	reason := breaker.Reason{Cause: breaker.ByHand, Note: note}
	cannot := refuse(http.StatusConflict, "%q: the breaker (%T) cannot", o.Do, b)
	switch o.Do {
	case "trip", "reset":
		if !trips {
			return cannot
		}
		if o.Do == "trip" {
			tripper.Trip(reason)
		} else {
			tripper.Reset(reason)
		}
		return nil
	case "force-open", "force-closed", "auto":
		if !forces {
			return cannot
		}
		native.Force(map[string]breaker.Mode{"force-open": breaker.ForcedOpen, "force-closed": breaker.ForcedClosed}[o.Do], note)
		return nil
	case "shadow-on", "shadow-off":
		if !forces {
			return cannot
		}
		native.SetShadow(o.Do == "shadow-on")
		return nil
	}
	return refuse(http.StatusBadRequest, "do %q: want one of those that Order names", o.Do)
}

// ownRule reports whether the breaker of a node trips by a rule of its own, and
// not at the ejector's word alone.
func ownRule(status *selector.Status) bool {
	in, ok := status.Breaker.(breaker.Inspector)
	return !ok || in.Snapshot().Rule != breaker.Never{}.String()
}

package microwrap

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/registry"
)

// errOver ends the sending of an attempt that is over.
var errOver = errors.New("the attempt is over: not sent")

// flight is what is known of one attempt while go-micro makes it.
type flight struct {
	t     *Transport
	id    string
	fresh bool // take a new connection
	phase atomic.Uint32
	conn  atomic.Pointer[conn]  // on which it was sent
	raw   atomic.Pointer[error] // what go-micro's call returned
	spent atomic.Int64          // retries that the server has made behind it

	done  bool // land was called
	was   uint32
	asked bool // go-micro had a connection, and asked for the request

	mu       sync.Mutex
	encoding bool          // go-micro reads the request
	encoded  chan struct{} // closed when it has done so
	once     sync.Once
}

// The phases of an attempt.
const (
	waiting  uint32 = iota // for go-micro's call: nothing was sent
	entered                // nothing was, as far as the transport has seen
	sent                   // it may have been
	answered               // the server has answered
	landed                 // nothing will be sent, and nothing was
)

// land ends the flight and returns the phase that it was in. It is for the
// goroutine that has begun it, which may ask again.
func (f *flight) land() uint32 {
	if f.done {
		return f.was
	}
	f.done, f.was = true, f.stop()
	f.mu.Lock()
	f.asked = f.encoding
	f.encoding = true // from now on there is nothing to read: see request.Body
	f.mu.Unlock()
	if f.asked && f.was == entered {
		<-f.encoded // the request is the caller's again when the call returns
	}
	return f.was
}

// stop sees to it that nothing is sent that was not yet. It returns the phase
// that it found.
func (f *flight) stop() uint32 {
	for {
		phase := f.phase.Load()
		if phase >= sent || f.phase.CompareAndSwap(phase, landed) {
			return phase
		}
	}
}

// abandon ends what goes on behind a call that does not wait for it.
func (f *flight) abandon() {
	if c := f.conn.Load(); c != nil {
		c.drop(f)
	}
}

func (f *flight) doneEncoding() { f.once.Do(func() { close(f.encoded) }) }

// fly makes go-micro's call under the flight, and keeps what it returns.
func (f *flight) fly(ctx context.Context, next client.CallFunc, node *registry.Node, req client.Request, rsp any, opts client.CallOptions) error {
	if !f.phase.CompareAndSwap(waiting, entered) {
		return errOver
	}
	md, _ := metadata.FromContext(ctx) // a copy
	if md == nil {
		md = make(metadata.Metadata)
	}
	md[flightName] = f.id
	err := next(metadata.NewContext(ctx, md), node, &request{req, f}, rsp, opts)
	f.raw.Store(&err)
	f.doneEncoding()
	return err
}

// wrap makes a CallWrapper of its own flights.
func (t *Transport) wrap(next client.CallFunc, failed func(*flight, error) error) client.CallFunc {
	return func(ctx context.Context, node *registry.Node, req client.Request, rsp any, opts client.CallOptions) error {
		f := new(flight)
		t.begin(f)
		defer t.land(f) // after a panic too
		if err := f.fly(ctx, next, node, req, rsp, opts); err != nil {
			return failed(f, err)
		}
		return nil
	}
}

// request lends the caller's request to an attempt, as long as it flies.
type request struct {
	client.Request
	f *flight
}

// Body implements client.Request.
func (r *request) Body() any {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	if r.f.encoding && r.f.t.carries.Load() {
		return nil // it is over; and the transport sends nothing for it
	}
	r.f.encoding = true
	return r.Request.Body()
}

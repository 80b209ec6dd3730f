package microwrap

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/resilience"
)

// Transport is another transport, which takes note of what becomes of each
// attempt: whether anything was sent, and whether there was an answer. On
// go-micro's HTTP transport it also notices when the server closes a
// connection that is not in use, and dials anew rather than lose a request to
// it.
//
// On the server's side it is what [Serve] tells its caller through, and it mends
// a defect of go-micro's server, which loses a request that comes on a
// connection right behind the answer to the last one: it finds two requests
// with the same, empty ID. A client cannot mend that: such a call is made again
// where it may be, and else runs into its deadline, in doubt.
//
// It is safe for concurrent use; make one by [NewTransport].
type Transport struct {
	transport.Transport

	own     string // prefix of the numbers that are ours
	seq     atomic.Uint64
	flights sync.Map    // number → *flight
	carries atomic.Bool // somebody has dialled through it
	listens bool        // connections are read all the time

	mu    sync.Mutex
	conns map[string]map[*conn]struct{} // by address
}

// NewTransport puts evidence around next. [New] does so by itself; it is for
// those who keep go-micro's loop and replace parts of it:
//
//	t := microwrap.NewTransport(transport.NewHTTPTransport())
//	c := client.NewClient(
//		client.Transport(t), client.WrapCall(t.WrapCall), // the last of the call wrappers
//		client.Selector(s), client.Retry(r.Retry), client.Backoff(r.Backoff), client.Retries(2),
//	)
func NewTransport(next transport.Transport) *Transport {
	return &Transport{
		Transport: next,
		own:       rand.Text() + "-",
		listens:   next.String() == "http", // of others nobody knows whether Close ends a Recv
		conns:     make(map[string]map[*conn]struct{}),
	}
}

// flightName is the header by which a message tells whose it is, from the
// call's metadata to the transport. It is not sent.
const flightName = "Holdfast-Flight"

// WrapCall is a client.CallWrapper that marks the error of each attempt with
// its evidence, for resilience.Classify, [Selector] and [Retries]. It must be
// the last call wrapper, next to go-micro's own call.
func (t *Transport) WrapCall(next client.CallFunc) client.CallFunc {
	return t.wrap(next, func(f *flight, err error) error { return resilience.Mark(err, t.judge(f, err, false)) })
}

// Dial implements transport.Transport.
func (t *Transport) Dial(addr string, opts ...transport.DialOption) (transport.Client, error) {
	t.carries.Store(true)
	next, err := t.Transport.Dial(addr, opts...)
	if err != nil {
		return nil, err
	}
	c := &conn{t: t, addr: addr, opts: opts, line: &line{Client: next}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns[addr] == nil {
		t.conns[addr] = make(map[*conn]struct{})
	}
	t.conns[addr][c] = struct{}{}
	return c, nil
}

// retire ends the connections to an address, those in use when they are no
// more. go-micro keeps them for later: they dial again.
func (t *Transport) retire(addr string) {
	for _, c := range t.all(addr) {
		c.retire()
	}
}

// close ends all connections.
func (t *Transport) close() {
	t.mu.Lock()
	addrs := make([]string, 0, len(t.conns))
	for addr := range t.conns {
		addrs = append(addrs, addr)
	}
	t.mu.Unlock()
	for _, addr := range addrs {
		for _, c := range t.all(addr) {
			_ = c.Close() // never fails
		}
	}
}

func (t *Transport) all(addr string) []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*conn, 0, len(t.conns[addr]))
	for c := range t.conns[addr] {
		list = append(list, c)
	}
	return list
}

func (t *Transport) forget(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns[c.addr], c)
	if len(t.conns[c.addr]) == 0 {
		delete(t.conns, c.addr)
	}
}

// begin makes the flight of an attempt, which land ends.
func (t *Transport) begin(f *flight) {
	f.t = t
	f.id = t.own + strconv.FormatUint(t.seq.Add(1), 36)
	f.encoded = make(chan struct{})
	t.flights.Store(f.id, f)
}

// land takes the flight out of the air: nothing is sent for it from now on. It
// returns how far it came.
func (t *Transport) land(f *flight) uint32 {
	t.flights.Delete(f.id)
	return f.land()
}

// of finds the flight that a message belongs to. ours is false where it
// belongs to none: streams, and what others send through this transport.
func (t *Transport) of(m *transport.Message) (f *flight, ours bool) {
	id, ok := m.Header[flightName]
	if !ok {
		return nil, false
	}
	delete(m.Header, flightName) // go-micro makes the header for this message
	if !strings.HasPrefix(id, t.own) {
		return nil, false // another process's, passed on
	}
	if v, ok := t.flights.Load(id); ok {
		f = v.(*flight)
	}
	return f, true
}

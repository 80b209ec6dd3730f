// Package harness runs failure experiments on real processes: it starts
// services as separate operating-system processes on loopback, puts an
// open-loop load on them, injects a fault, and counts what really happened in
// a ledger that survives SIGKILL, because clients' counters lie.
//
// The experiment here is [Failover]: a gateway, a user API, and instances of a
// hello service which the user API calls through a [Stack], the thing under
// test. The processes are this same binary, started again with [RoleCommand]
// as its first argument; its main must hand that command to [RunRole].
package harness

import (
	"context"
	"net"
	"time"
)

// Stack is what an experiment puts under test: a client library, and the
// server that speaks its protocol. Its methods run in different processes.
type Stack interface {
	// Name is the stack's name in reports.
	Name() string
	// Serve answers calls on l with hello until l is closed, in the process
	// of one hello instance.
	Serve(l net.Listener, hello *Hello) error
	// Dial makes the client of the hello instances, in the process of the
	// user API. It need not connect.
	Dial(cfg ClientConfig) (Client, error)
}

// Client calls hello through the stack under test. It is used concurrently.
type Client interface {
	// Do makes one call and returns the ID of the node that answered.
	Do(ctx context.Context, route Route, id string) (node string, err error)
	// Ambiguous reports whether the client says of err, which Do returned,
	// that the call may have been carried out. A client that does not tell
	// returns false.
	Ambiguous(err error) bool
	Close() error
}

// ClientConfig is what a [Stack] makes its client from.
type ClientConfig struct {
	Nodes   []Node
	Timeout time.Duration // of a whole call; the context given to Do ends by then
	Journal *Journal      // where the client says what it does
}

// Node is one process that listens.
type Node struct {
	ID   string `json:"id"`
	Addr string `json:"addr"` // host:port
}

// Route is one of the two things the gateway serves.
type Route uint8

// The routes.
const (
	Get  Route = iota // GET /user/test: the user API calls hello
	Post              // POST /user/register: an effect at hello, once per request
)

// Routes are all routes, in the order of reports.
var Routes = [...]Route{Get, Post}

// String returns method and path.
func (r Route) String() string { return r.Method() + " " + r.Path() }

// Method is the HTTP method.
func (r Route) Method() string {
	if r == Post {
		return "POST"
	}
	return "GET"
}

// Path is the path at the gateway and at the user API.
func (r Route) Path() string {
	if r == Post {
		return "/user/register"
	}
	return "/user/test"
}

// Headers between the processes.
const (
	RequestID = "X-Request-Id" // names a request from the load generator to the ledger
)

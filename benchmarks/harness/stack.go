// Package harness runs failure experiments on real processes: it starts
// services as separate operating-system processes, puts an open-loop load on
// them, injects faults, and counts what really happened in a ledger that
// survives SIGKILL, because clients' counters lie.
//
// There are two experiments. [Failover] is a gateway, a user API, and
// instances of a hello service which the user API calls through a [Stack], the
// thing under test. [Bench] is a [Plan]: hello instances, client processes
// that each draw their share of the load and call through a stack, and steps
// that are done to the instances when they are due. The processes are this
// same binary, started again with [RoleCommand] as its first argument; its
// main must hand that command to [RunRole].
package harness

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// Stack is what an experiment puts under test: a client library, and the
// server that speaks its protocol. Its methods run in different processes.
// Embed [OverHTTP] for the server, unless the client speaks another protocol.
type Stack interface {
	// Name is the stack's name in reports and on the command line.
	Name() string
	// Info tells of the stack, and whether it can run here.
	Info() Info
	// Serve answers calls on l with hello until l is closed, in the process
	// of one hello instance.
	Serve(l net.Listener, hello *Hello) error
	// Dial makes the client of the hello instances, in the process of a
	// client. It need not connect. A process may hold many clients, which
	// share nothing.
	Dial(cfg ClientConfig) (Client, error)
}

// Elsewhere is a Stack of another program than this one, since what it needs
// would slow the build of everybody's: that program hands [RoleCommand] to
// [RunRole] with a Stack of the same name. Here only its name and Info are used.
type Elsewhere interface {
	Stack
	// Program returns the path of the program, built by now.
	Program(ctx context.Context) (path string, err error)
}

// executable is the program whose processes a stack runs in.
func executable(ctx context.Context, s Stack) (string, error) {
	if e, ok := s.(Elsewhere); ok {
		return e.Program(ctx)
	}
	return os.Executable()
}

// Info is what lists and reports print of a stack.
type Info struct {
	// What it is, in one line.
	What string
	// Config is its whole configuration as somebody who knows it would read
	// it, and where its documentation recommends that. Reports print it, so
	// that a reader can object.
	Config string
	// Keyed says that its POSTs carry a key which its server keeps, so that
	// none of them need fail: it sets [Request].Key.
	Keyed bool
	// Beside says that it is a program beside the client's process, of which
	// all the clients in that process share one, as such programs are run.
	Beside bool
	// Unavailable is why it cannot run on this machine; nil: it can.
	Unavailable error
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
	Nodes    []Node
	Timeout  time.Duration       // of a whole call; the context given to Do ends by then
	Journal  *Journal            // where the client says what it does
	Observer resilience.Observer // who hears what the client does, where it is one of this project's; nil: nobody
	Dir      string              // an empty directory for files; it is removed; empty: none is offered
	Listen   string              // a free host:port for a program beside the client's process; empty: none is offered
}

// Node is one process that listens.
type Node struct {
	ID   string `json:"id"`
	Addr string `json:"addr"` // host:port
}

// Route is one of the things that hello serves.
type Route uint8

// The routes.
const (
	Get  Route = iota // GET /user/test: the user API calls hello
	Post              // POST /user/register: an effect at hello, once per request
	List              // GET /user/list: a second method that is safe, used by Bench only
)

// Routes are those of [Failover], in the order of reports.
var Routes = [...]Route{Get, Post}

// AllRoutes are all routes.
var AllRoutes = [...]Route{Get, Post, List}

var routes = [...]struct{ method, path, letter string }{
	Get:  {"GET", "/user/test", "g"},
	Post: {"POST", "/user/register", "p"},
	List: {"GET", "/user/list", "l"},
}

// String returns method and path.
func (r Route) String() string { return r.Method() + " " + r.Path() }

// Method is the HTTP method.
func (r Route) Method() string { return routes[r].method }

// Path is the path at the gateway, at the user API and at hello.
func (r Route) Path() string { return routes[r].path }

// Headers between the processes.
const (
	RequestID      = "X-Request-Id"    // names a request from the load generator to the ledger
	AttemptHeader  = "X-Retry-Attempt" // the attempt's number; absent: the client does not tell
	IdempotencyKey = "Idempotency-Key" // makes a POST a keyed one
)

package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// RoleCommand is the argument with which this binary starts itself as one of
// the experiment's processes.
const RoleCommand = "__role"

// The roles.
const (
	roleHello   = "hello"
	roleUserAPI = "user-api"
	roleGateway = "gateway"
	roleClient  = "client"
)

// roleConfig is the first line on the standard input of a child.
type roleConfig struct {
	Role     string        `json:"role"`
	Node     Node          `json:"node"` // itself
	Stack    string        `json:"stack,omitempty"`
	Command  []string      `json:"command,omitempty"`   // of a stack that is one
	Service  Service       `json:"service,omitzero"`    // hello
	Effects  string        `json:"effects,omitempty"`   // hello: see there
	Timeout  time.Duration `json:"timeoutNs,omitempty"` // user API, client: of a call
	Upstream []Node        `json:"upstream,omitempty"`  // whom it calls
	Load     Workload      `json:"load,omitzero"`       // client
	Board    string        `json:"board,omitempty"`     // user API: where it shows its client; empty: nowhere
	Token    string        `json:"token,omitempty"`     // user API: by which that may be steered
	Process  int           `json:"process,omitempty"`   // client: which
	Dir      string        `json:"dir,omitempty"`       // client: for files of its stack
}

// The commands, the further lines of its standard input. Its end means: exit.
const (
	cmdRefuse = "refuse" // hello: close the port
	cmdAdmit  = "admit"  // hello: open it again
	cmdFlush  = "flush"  // user API, client: write out the journal
	cmdSicken = "sicken" // hello: with an Illness in JSON
	cmdIdle   = "idle"   // hello: done when it serves nothing
	cmdLoad   = "load"   // client: with the time of the beginning in Unix nanoseconds
)

// message is a line that a child prints.
type message struct {
	Type  string `json:"type"`            // see below
	Text  string `json:"text,omitempty"`  // the error; or the command that was done
	Entry *Entry `json:"entry,omitempty"` // of a notice

	Sent   int `json:"sent,omitempty"` // of a count
	Failed int `json:"failed,omitempty"`

	Late time.Duration `json:"lateNs,omitempty"` // of the answer to "idle": 99 % of the service times were overdrawn by less
}

// The types of messages.
const (
	msgReady  = "ready"  // it listens
	msgTaken  = "taken"  // its port is in use
	msgFailed = "failed" // it cannot go on, or a command failed
	msgDone   = "done"   // a command was carried out
	msgNotice = "notice" // the client has ejected or readmitted a node
	msgCount  = "count"  // how the client's load stands
	msgLoaded = "loaded" // the client has done with its load
)

// outputFD is where a child finds its ledger or journal: the first of
// exec.Cmd.ExtraFiles. A client's shots come next.
const (
	outputFD = 3
	shotsFD  = 4
)

// RunRole is the main of the experiment's processes. It returns the exit code
// when its standard input ends, which it does when the parent does, however
// that ends.
func RunRole(stacks []Stack, stdin io.Reader, stdout io.Writer) int {
	// Ctrl-C in a terminal is for the parent, which ends this process.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // a hello drains on SIGTERM, see start
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	p := &process{stacks: stacks, out: json.NewEncoder(stdout)}
	lines := bufio.NewScanner(stdin)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &p.cfg) != nil {
		fmt.Fprintln(os.Stderr, RoleCommand+" is internal: it expects its configuration on standard input")
		return 2
	}
	if err := p.start(); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			p.say(message{Type: msgTaken, Text: err.Error()})
		} else {
			p.say(message{Type: msgFailed, Text: err.Error()})
		}
		return 1
	}
	p.say(message{Type: msgReady})
	for lines.Scan() {
		if err := p.command(lines.Text()); err != nil {
			p.say(message{Type: msgFailed, Text: err.Error()})
			continue
		}
		done := message{Type: msgDone, Text: lines.Text()}
		if p.hello != nil && done.Text == cmdIdle {
			done.Late = p.hello.lateness()
		}
		p.say(done)
	}
	return 0
}

// process is one of the experiment's processes, seen from within.
type process struct {
	cfg     roleConfig
	stacks  []Stack
	mu      sync.Mutex // of out
	out     *json.Encoder
	gate    *gate
	hello   *Hello
	journal *Journal
	clients []Client
}

func (p *process) say(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(m) // the parent has gone, and standard input says so
}

func (p *process) start() (err error) {
	if p.cfg.Role == roleClient {
		return p.startClient()
	}
	if p.gate, err = newGate(p.cfg.Node.Addr); err != nil {
		return err
	}
	switch p.cfg.Role {
	case roleHello:
		stack, err := p.stack()
		if err != nil {
			return err
		}
		ledger, err := NewLedger(os.NewFile(outputFD, "ledger"))
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		p.hello = newHello(p.cfg, ledger, p.gate)
		p.drainOnTerm()
		p.serve(func() error { return stack.Serve(p.gate, p.hello) })
	case roleUserAPI:
		stack, err := p.stack()
		if err != nil {
			return err
		}
		p.journal = NewJournal(os.NewFile(outputFD, "journal"), func(e Entry) { p.say(message{Type: msgNotice, Entry: &e}) })
		observer, err := p.showBoard()
		if err != nil {
			return err
		}
		client, err := stack.Dial(ClientConfig{Nodes: p.cfg.Upstream, Timeout: p.cfg.Timeout, Journal: p.journal, Observer: observer})
		if err != nil {
			return fmt.Errorf("%s: %w", stack.Name(), err)
		}
		p.serve(func() error { return ServeHTTP(p.gate, userAPI(client, p.cfg.Timeout)) })
	case roleGateway:
		if len(p.cfg.Upstream) != 1 {
			return fmt.Errorf("gateway: %d upstreams: want 1", len(p.cfg.Upstream))
		}
		p.serve(func() error { return ServeHTTP(p.gate, gateway(p.cfg.Upstream[0].Addr)) })
	default:
		return fmt.Errorf("role %q: want hello, user-api, gateway or client", p.cfg.Role)
	}
	return nil
}

func (p *process) stack() (Stack, error) {
	if len(p.cfg.Command) > 0 {
		return Command{Label: p.cfg.Stack, Argv: p.cfg.Command}, nil
	}
	for _, s := range append([]Stack{Null{}}, p.stacks...) {
		if s.Name() == p.cfg.Stack {
			return s, nil
		}
	}
	return nil, fmt.Errorf("stack %q: not in this binary", p.cfg.Stack)
}

// serve runs f to the end of the process.
func (p *process) serve(f func() error) {
	go func() {
		err := f()
		p.say(message{Type: msgFailed, Text: fmt.Sprintf("server ended: %v", err)})
		os.Exit(1)
	}()
}

func (p *process) command(line string) error {
	name, arg, _ := strings.Cut(line, " ")
	switch {
	case name == cmdFlush && p.journal != nil:
		return p.journal.Flush()
	case name == cmdLoad && p.clients != nil:
		start, err := strconv.ParseInt(arg, 10, 64)
		if err == nil {
			go p.load(time.Unix(0, start))
		}
		return err
	case p.hello == nil:
	case name == cmdRefuse:
		return p.gate.refuse()
	case name == cmdAdmit:
		return p.gate.admit()
	case name == cmdSicken:
		var i Illness
		if err := json.Unmarshal([]byte(arg), &i); err != nil {
			return err
		}
		p.hello.sicken(i)
		return nil
	case name == cmdIdle:
		return poll(context.Background(), "it does not come to rest", func() (bool, error) { return p.hello.queue.idle(), nil })
	}
	return fmt.Errorf("command %q: unknown here", name)
}

// lameDuck is how long a hello that was told to end says so before it refuses.
const lameDuck = 200 * time.Millisecond

// drainOnTerm ends the process after SIGTERM as a well-behaved service does:
// it says that it is leaving, refuses what is new, and ends what it has begun.
func (p *process) drainOnTerm() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		p.hello.ending.Store(true)
		<-time.After(lameDuck)
		err := p.gate.refuse()
		if err == nil {
			err = poll(context.Background(), "it does not come to rest", func() (bool, error) { return p.gate.empty(), nil })
		}
		if err != nil {
			p.say(message{Type: msgFailed, Text: err.Error()})
			os.Exit(1)
		}
		os.Exit(0)
	}()
}

// ServeHTTP serves h on l over HTTP/1.1 until l is closed. Connections are
// kept as long as the client keeps them.
func ServeHTTP(l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return context.Background() },
	}
	return srv.Serve(l)
}

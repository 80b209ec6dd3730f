package connectwrap_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/holdfast-go/holdfast/resilience"
)

// serverEnv makes the test binary a server: its value is the file that it
// writes a line to for everything it does, or "-": it only answers, at once.
const serverEnv = "CONNECTWRAP_TEST_SERVER"

// process is a server in a process of its own.
type process struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}
}

// spawn starts a server.
func spawn(t testing.TB, ledger string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), self), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), serverEnv+"="+ledger)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.addr = strings.TrimSpace(line)
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// drain asks it to end when it has answered what is under way.
func (p *process) drain(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, "drain\n"); err != nil {
		t.Fatal(err)
	}
}

// serveAsProcess is the process. It ends with its standard input.
func serveAsProcess() {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	handle := says(l.Addr().String())
	if ledger := os.Getenv(serverEnv); ledger != "-" {
		handle = writes(l.Addr().String(), ledger)
	}
	server := &http.Server{Protocols: inClear(), Handler: echo(handle)}
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(l) })
	fmt.Println(l.Addr())
	if bufio.NewScanner(os.Stdin).Scan() {
		_ = server.Shutdown(context.Background())
		done.Wait()
		return
	}
	os.Exit(0)
}

// says is a handler that answers name.
func says(name string) handler {
	return func(context.Context, string, string, http.Header) (string, error) { return name, nil }
}

// writes is a handler that says name when it has written what was asked.
func writes(name, file string) handler {
	ledger, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	return func(_ context.Context, _, in string, _ http.Header) (string, error) {
		if _, err := ledger.WriteString(in + "\n"); err != nil {
			return "", err
		}
		<-time.After(5 * time.Millisecond)
		return name, nil
	}
}

// did counts what all processes with the ledger have done, by what was asked.
func did(t testing.TB, ledger string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		counts[strings.TrimSpace(line)]++
	}
	return counts
}

// load is calls of Get and Post from several goroutines until stop is closed,
// and what failed, by what was asked.
type load struct {
	mu     sync.Mutex
	done   sync.WaitGroup
	stop   chan struct{}
	failed map[string]error
	calls  int
	ticks  chan struct{}
}

const workers = 4

func (l *load) worker(n int, procedure string, c *connect.Client[message, message]) {
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		name := fmt.Sprintf("%s-%d-%d", procedure[strings.LastIndexByte(procedure, '/')+1:], n, i)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := call(ctx, c, name)
		cancel()
		l.mu.Lock()
		l.calls++
		if err != nil {
			l.failed[name] = err
		}
		l.mu.Unlock()
		select {
		case l.ticks <- struct{}{}:
		default:
		}
	}
}

// more waits for so many more calls to end.
func (l *load) more(n int) {
	for range n {
		<-l.ticks
	}
}

// TestProcesses: real servers are killed, hung and drained while they are
// called, over HTTP/1 and gRPC: no Get fails, no Post is carried out twice, and
// those that fail are in doubt, which are at most those that were in flight on
// the killed one, or, over HTTP/1, were sent into a connection that was just
// being closed.
func TestProcesses(t *testing.T) {
	faults := map[string]struct {
		do    func(t *testing.T, p *process)
		doubt map[string]int // Posts that may fail, by protocol
	}{
		"kill":  {func(t *testing.T, p *process) { p.signal(t, syscall.SIGKILL); <-p.ended }, map[string]int{"connect": workers, "grpc": workers}},
		"hang":  {func(t *testing.T, p *process) { p.signal(t, syscall.SIGSTOP) }, nil},
		"drain": {func(t *testing.T, p *process) { p.drain(t); <-p.ended }, map[string]int{"connect": workers}},
	}
	for protocol, options := range map[string][]connect.ClientOption{"connect": nil, "grpc": {connect.WithGRPC()}} {
		for name, fault := range faults {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				ledger := filepath.Join(t.TempDir(), "ledger")
				nodes := []*process{spawn(t, ledger), spawn(t, ledger), spawn(t, ledger)}
				x := newTransport(t, protocol == "grpc", resilience.Config{}, nodes[0].addr, nodes[1].addr, nodes[2].addr)
				l := &load{stop: make(chan struct{}), failed: make(map[string]error), ticks: make(chan struct{}, 1000)}
				for i := range workers {
					l.done.Go(func() { l.worker(i, get, client(x, get, options...)) })
					if name != "hang" { // a Post that hangs is left alone up to its deadline
						l.done.Go(func() { l.worker(i, post, client(x, post, options...)) })
					}
				}
				calls := 200
				if testing.Short() {
					calls = 60
				}
				l.more(calls)
				fault.do(t, nodes[0])
				l.more(2 * calls)
				close(l.stop)
				l.done.Wait()
				doubt := 0
				for asked, err := range l.failed {
					doubt++
					if strings.HasPrefix(asked, "Get") || !resilience.IsAmbiguous(err) {
						t.Errorf("%s: %v", asked, err)
					}
				}
				if doubt > fault.doubt[protocol] {
					t.Errorf("%d calls failed, want at most %d", doubt, fault.doubt[protocol])
				}
				for asked, n := range did(t, ledger) {
					if n > 1 && strings.HasPrefix(asked, "Post") {
						t.Errorf("%s was carried out %d times", asked, n)
					}
				}
				t.Logf("%d calls, %d failed", l.calls, doubt)
			})
		}
	}
}

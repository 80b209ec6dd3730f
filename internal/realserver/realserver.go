// Package realserver starts real servers (Redis, PostgreSQL, etcd, dnsmasq) from the PATH on a
// free port of loopback, for tests and experiments. They end with the process
// that started them.
package realserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrMissing is matched by the error of a server that is not installed here.
var ErrMissing = errors.New("is not installed")

// patience is how long a server may take to start.
const patience = 60 * time.Second

// Server is one that runs. Its data stay when it is killed and started again.
type Server struct {
	Addr string // host and port

	dir    string
	start  func(port string) (*exec.Cmd, error)
	ping   func(ctx context.Context) error
	cmd    *exec.Cmd
	exited chan struct{}
	output tail
}

// find returns a program's path: from the PATH, or where Debian puts it.
func find(name string, elsewhere ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, pattern := range elsewhere {
		if found, _ := filepath.Glob(filepath.Join(pattern, name)); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s %w", name, ErrMissing)
}

// lastPort is the last one that this process has chosen.
var lastPort atomic.Int64

// freePort returns a port that nobody listens on, and that the kernel does not
// give to outgoing connections.
func freePort() (int, error) {
	lastPort.CompareAndSwap(0, int64(11000+os.Getpid()*31%20000))
	var last error
	for range 1000 {
		port := int(lastPort.Add(1))
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("no free port: %w", last)
}

// Program starts a server of one's own, by the command that build makes for a
// port; it is ready when ping succeeds.
func Program(build func(port string) (*exec.Cmd, error), ping func(ctx context.Context, addr string) error) (*Server, error) {
	s := &Server{start: build}
	s.ping = func(ctx context.Context) error { return ping(ctx, s.Addr) }
	if err := s.first(); err != nil {
		return nil, err
	}
	return s, nil
}

// first starts a new server on a free port; on another one where somebody was
// faster.
func (s *Server) first() error {
	var errs []error
	for range 3 {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.Addr = "127.0.0.1:" + strconv.Itoa(port)
		if err = s.Start(); err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Start starts the server again after Kill or Stop, on its old port.
func (s *Server) Start() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	cmd, err := s.start(port)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	cmd.SysProcAttr = attributes(cmd.SysProcAttr)
	started, exited := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the death that Pdeathsig follows is the thread's
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in ProcessState
		}
		close(exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("%s: %w", cmd.Path, err)
	}
	s.cmd, s.exited = cmd, exited
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%s: %v: %s", cmd.Path, cmd.ProcessState, s.output.String())
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("%s: no answer within %v: %w: %s", cmd.Path, patience, err, s.output.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends the server with SIGKILL, and returns when nothing of it is left.
func (s *Server) Kill() { s.end(os.Kill) }

// Stop has the server end in good order.
func (s *Server) Stop() { s.end(os.Interrupt) }

func (s *Server) end(how os.Signal) {
	_ = s.cmd.Process.Signal(how) // it may have ended
	<-s.exited
}

// Close ends the server and removes its data.
func (s *Server) Close() error {
	if s.cmd != nil {
		s.Kill()
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// Exited is closed when the server has ended.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Pid is the server's process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// dial is a ping that is content with a port that is open.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - 4<<10; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, nil)))
}

package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A child ends with its parent in two ways. Its standard input is a pipe that
// the kernel closes when the parent ends, and the child exits at its end; that
// works everywhere, but not for a child that is stopped. On Linux the kernel
// also kills it (Pdeathsig). That follows the parent's thread which started
// it, not the process: hence a thread of our own for starting.

// spawner starts processes from one thread that lives as long as it.
type spawner struct{ calls chan func() }

func newSpawner() *spawner {
	s := &spawner{calls: make(chan func())}
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		for f := range s.calls {
			f()
		}
	}()
	return s
}

// run calls f on the thread.
func (s *spawner) run(f func() error) (err error) {
	done := make(chan struct{})
	s.calls <- func() {
		err = f()
		close(done)
	}
	<-done
	return err
}

func (s *spawner) start(cmd *exec.Cmd) error { return s.run(cmd.Start) }

// close ends the thread, and on Linux with it the processes that it started.
func (s *spawner) close() { close(s.calls) }

// child is one of the experiment's processes, seen by the parent.
type child struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	replies chan message
	loaded  chan struct{} // closed when a client has done with its load
	exited  chan struct{} // closed when it has ended and nothing of it is left
	stderr  tail
	talk    sync.Mutex // one command at a time

	expected     atomic.Bool  // we have ended it ourselves
	sent, failed atomic.Int64 // as a client tells
}

// portTaken is what a child says when its port is in use.
var portTaken = syscall.EADDRINUSE

// child starts a process and waits until it listens. The outputs become its
// files from outputFD on. It fails with portTaken when the port is in use.
func (s *spawner) child(ctx context.Context, exe string, cfg roleConfig, env []string, outputs []*os.File, notice func(Entry)) (*child, error) {
	c := &child{name: cfg.Role, replies: make(chan message, 16), loaded: make(chan struct{}), exited: make(chan struct{})}
	if cfg.Node.ID != "" {
		c.name = cfg.Node.ID
	}
	c.cmd = exec.Command(exe, RoleCommand) //nolint:noctx // its end is the experiment's, which kills by hand and waits
	c.cmd.Env = append(childEnv(os.Environ()), env...)
	c.cmd.Stderr = &c.stderr
	c.cmd.SysProcAttr = childAttr()
	c.cmd.ExtraFiles = outputs
	stdin, err1 := c.cmd.StdinPipe()
	stdout, err2 := c.cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	c.stdin = stdin
	if err := s.start(c.cmd); err != nil {
		return nil, fmt.Errorf("%s: start: %w", c.name, err)
	}
	go c.listen(stdout, notice)
	line, err := json.Marshal(cfg)
	if err == nil {
		_, err = stdin.Write(append(line, '\n'))
	}
	if err == nil {
		_, err = c.await(ctx, msgReady, "")
	}
	if err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// childEnv leaves out what would change a client under test behind our back.
func childEnv(env []string) []string {
	var kept []string
	for _, v := range env {
		name := strings.ToUpper(v)
		if strings.HasPrefix(name, "MICRO_") || strings.Contains(name[:strings.IndexByte(name+"=", '=')], "_PROXY") {
			continue
		}
		kept = append(kept, v)
	}
	return kept
}

// listen reads what the child prints until it ends, and then waits for it.
func (c *child) listen(stdout io.Reader, notice func(Entry)) {
	defer close(c.exited)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue
		}
		switch {
		case m.Type == msgLoaded:
			close(c.loaded)
			continue
		case m.Type == msgCount:
			c.sent.Store(int64(m.Sent))
			c.failed.Store(int64(m.Failed))
			continue
		case m.Type == msgNotice:
			if m.Entry != nil && notice != nil {
				notice(*m.Entry)
			}
			continue
		}
		select {
		case c.replies <- m:
		default: // nobody asked
		}
	}
	_ = c.cmd.Wait() // how it ended is in ProcessState
}

// patience is how long a child may take to start or to carry out a command.
const patience = 20 * time.Second

func (c *child) await(ctx context.Context, kind, text string) (message, error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case m := <-c.replies:
			switch {
			case m.Type == kind && m.Text == text:
				return m, nil
			case m.Type == msgTaken:
				return m, fmt.Errorf("%s: %s: %w", c.name, m.Text, portTaken)
			case m.Type == msgFailed:
				return m, fmt.Errorf("%s: %s", c.name, m.Text)
			}
		case <-c.exited:
			if len(c.replies) > 0 {
				continue
			}
			return message{}, c.ended()
		case <-ctx.Done():
			return message{}, context.Cause(ctx)
		case <-timeout.C:
			return message{}, fmt.Errorf("%s: no answer within %v", c.name, patience)
		}
	}
}

// ended tells how an exited child ended.
func (c *child) ended() error {
	err := fmt.Errorf("%s (pid %d) ended: %v", c.name, c.cmd.Process.Pid, c.cmd.ProcessState)
	if s := c.stderr.String(); s != "" {
		err = fmt.Errorf("%w; it said: %s", err, s)
	}
	return err
}

// do has the child carry out a command.
func (c *child) do(ctx context.Context, command string) error {
	_, err := c.ask(ctx, command)
	return err
}

// ask has the child carry out a command and returns its answer.
func (c *child) ask(ctx context.Context, command string) (message, error) {
	c.talk.Lock()
	defer c.talk.Unlock()
	if _, err := io.WriteString(c.stdin, command+"\n"); err != nil {
		return message{}, fmt.Errorf("%s: %s: %w", c.name, command, err)
	}
	return c.await(ctx, msgDone, command)
}

// kill ends the child with SIGKILL, stopped or not, and returns when nothing
// of it is left: the kernel has closed its connections by then.
func (c *child) kill() {
	c.expected.Store(true)
	_ = c.cmd.Process.Kill() // it may have ended
	c.stdin.Close()
	<-c.exited
}

// gone reports whether nothing of the child is left.
func (c *child) gone() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// drain has the child end as services are asked to, and returns when it has.
func (c *child) drain(ctx context.Context) error {
	c.expected.Store(true)
	if err := terminate(c.cmd.Process); err != nil {
		return err
	}
	if err := poll(ctx, "it did not end", func() (bool, error) { return c.gone(), nil }); err != nil {
		return err
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		return c.ended()
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}

package grpcwrap_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// serverEnv makes the test binary a server: its value is the address to listen
// on, and the file that it writes a line to for everything it does. Without
// the file it only answers, at once.
const serverEnv = "GRPCWRAP_TEST_SERVER"

// process is a server in a process of its own.
type process struct {
	addr   string
	ledger string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	ended  chan struct{}
}

// spawn starts a server; addr "127.0.0.1:0" is any.
func spawn(t testing.TB, addr, ledger string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{ledger: ledger, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), self), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), serverEnv+"="+addr+" "+ledger)
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

// kill ends it without a word.
func (p *process) kill(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
}

// drain asks it to end when it has answered what is under way.
func (p *process) drain(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, "drain\n"); err != nil {
		t.Fatal(err)
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

// serveAsProcess is the process. It ends with its standard input.
func serveAsProcess() {
	addr, file, _ := strings.Cut(os.Getenv(serverEnv), " ")
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	handle := says(l.Addr().String())
	if file != "" {
		handle = writes(l.Addr().String(), file)
	}
	list := func(_ string, s grpc.ServerStream) error {
		in := new(wrapperspb.StringValue)
		if err := s.RecvMsg(in); err != nil {
			return err
		}
		for range 3 {
			out, _ := handle(s.Context(), "", in.GetValue())
			if err := s.SendMsg(wrapperspb.String(out)); err != nil {
				return err
			}
		}
		return nil
	}
	server.RegisterService(echo(handle, list), struct{}{})
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(l) })
	fmt.Println(l.Addr())
	commands := bufio.NewScanner(os.Stdin)
	if commands.Scan() {
		server.GracefulStop()
		done.Wait()
		return
	}
	os.Exit(0)
}

// writes is a handler that says name when it has written what was asked.
func writes(name, file string) handler {
	ledger, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	return func(_ context.Context, _, in string) (string, error) {
		if _, err := ledger.WriteString(in + "\n"); err != nil {
			return "", err
		}
		<-time.After(5 * time.Millisecond)
		return name, nil
	}
}

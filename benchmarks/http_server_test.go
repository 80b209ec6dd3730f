package benchmarks_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// hello is the server that calls are measured against.
var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })

const serverEnv = "HOLDFAST_BENCH_HTTP_SERVER"

func init() {
	if os.Getenv(serverEnv) != "" {
		serveForParent()
	}
}

// serveForParent prints an address, and serves there until standard input ends.
func serveForParent() {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		os.Exit(1)
	}
	server := &http.Server{Handler: hello, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	_, _ = io.WriteString(os.Stdout, listener.Addr().String()+"\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// serverProcess starts the server as a process of its own.
func serverProcess(tb testing.TB) (addr string) {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), exe)
	cmd.Env, cmd.Stderr = append(os.Environ(), serverEnv+"=1"), os.Stderr
	stdin, err := cmd.StdinPipe() // held open: it ends with us, however we end
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return line[:len(line)-1]
}

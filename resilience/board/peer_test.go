package board

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/afex/hystrix-go/hystrix"
)

// The goroutines of hystrix-go never end, so its stream runs in a child.

const peerEnv = "HOLDFAST_BOARD_PEER"

// runPeer streams what hystrix-go does, until its standard input ends.
func runPeer() {
	hystrix.ConfigureCommand("works", hystrix.CommandConfig{Timeout: 60_000})
	hystrix.ConfigureCommand("breaks", hystrix.CommandConfig{Timeout: 60_000, RequestVolumeThreshold: 1, ErrorPercentThreshold: 1})
	for range 5 {
		_ = hystrix.Do("works", func() error { return nil }, nil)
		_ = hystrix.Do("breaks", func() error { return errOp }, func(error) error { return nil })
	}
	stream := hystrix.NewStreamHandler()
	stream.Start()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stdout, "http://%s/hystrix.stream\n", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := http.Serve(listener, stream); !errors.Is(err, http.ErrServerClosed) { //nolint:gosec // a test's
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// startPeer starts the child and returns the address of its stream.
func startPeer(t *testing.T) (url string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), peerEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Error("the child:", err)
		}
	})
	scan := bufio.NewScanner(out)
	if !scan.Scan() {
		t.Fatal("the child has not said where it listens")
	}
	return scan.Text()
}

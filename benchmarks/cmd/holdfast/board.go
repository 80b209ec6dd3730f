package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/resilience/board"
)

const boardUsage = `Usage: holdfast board -from host:port,... [flags]

Shows the live boards (resilience/board) of several processes on one page, side
by side: for each service its nodes, and how each process sees them, so that a
node that only some of them have lost is seen as that. It runs until it is
interrupted, and reads only; steering is done on each process's own board.

Flags:
  -from LIST     the boards, with commas between: host:port, which stands for
                 http://host:port/holdfast/, or the URL that one is mounted at
  -listen ADDR   where the page is (default 127.0.0.1:0, a free port). Whoever
                 reaches it sees what the boards show
  -open          open the page in a browser

The token that the boards ask readers for, if they do, is taken from the
environment variable HOLDFAST_BOARD_TOKEN, and sent to all of them.

Exit codes: 2 usage or configuration, 130 interrupted.
`

func showBoards(ctx context.Context, args []string, std cli.Streams) int {
	var from, listen string
	var open bool
	fs := flags.New("holdfast board")
	fs.StringVar(&from, "from", "", "")
	fs.StringVar(&listen, "listen", "127.0.0.1:0", "")
	fs.BoolFunc("open", "", flags.Bool(&open))
	err := flags.Parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.Out, boardUsage)
		return cli.Pass
	}
	if err == nil && from == "" {
		err = errors.New("-from: want at least one host:port")
	}
	if err == nil {
		err = serveBoards(ctx, from, listen, open, std.Err)
	}
	if errors.Is(err, cli.ErrInterrupted) {
		return cli.Interrupted
	}
	fmt.Fprintf(std.Err, "holdfast board: %s (holdfast board -h tells more)\n", flags.OneLine(err))
	return cli.Usage
}

// serveBoards serves the page until ctx ends.
func serveBoards(ctx context.Context, from, listen string, open bool, out io.Writer) error {
	cfg := board.GatherConfig{From: strings.Split(from, ",")}
	if token := os.Getenv("HOLDFAST_BOARD_TOKEN"); token != "" {
		cfg.Header = http.Header{"Authorization": {"Bearer " + token}}
	}
	g, err := board.Gather(cfg)
	if err != nil {
		return err
	}
	defer g.Close() //nolint:errcheck // it cannot fail
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- harness.ServeHTTP(l, g) }()
	showURL(ctx, out, "http://"+l.Addr().String()+"/", open)
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	l.Close()
	return err
}

// showURL prints where a page is, and opens it in a browser if that is wanted
// and can be done.
func showURL(ctx context.Context, out io.Writer, url string, open bool) {
	fmt.Fprintln(out, "board:", url)
	if !open {
		return
	}
	opener := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if opener == nil {
		opener = []string{"xdg-open"}
	}
	cmd := exec.CommandContext(ctx, opener[0], append(opener[1:], url)...)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(out, "board: no browser was opened:", err)
		return
	}
	go cmd.Wait() //nolint:errcheck // it may end when it likes
}

package board

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
)

// busyBoard has one service whose nodes have all taken calls.
func busyBoard(tb testing.TB, nodes int) *Board {
	tb.Helper()
	b := newBoard(tb, Config{})
	c := realClient(tb, b, config{Service: "users", Nodes: addrs(nodes), Settings: sets{Strategy: "round-robin"}})
	for range 20 * nodes {
		if err := c.Do(context.Background(), resilience.Safe("m"), good); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

// framesOf make a frame of what there is to see.
var framesOf = map[string]func(State) []byte{
	"hystrix": frame,
	"live":    func(st State) []byte { st.Log = nil; return event("state", st) },
}

// BenchmarkFrame is what one second costs that somebody looks at, whoever they
// are and however many.
func BenchmarkFrame(b *testing.B) {
	for name, frame := range framesOf {
		for _, nodes := range []int{5, 500} {
			b.Run(fmt.Sprintf("stream=%s/nodes=%d", name, nodes), func(b *testing.B) {
				board := busyBoard(b, nodes)
				b.ReportAllocs()
				size := 0
				for b.Loop() {
					size = len(frame(board.State()))
				}
				b.ReportMetric(float64(size), "bytes/frame")
			})
		}
	}
}

// BenchmarkSecond is a second of all who watch a stream: a frame is made, and
// sent to each over a loopback connection that this process reads too. 50 ms
// would be 5 % of a core.
func BenchmarkSecond(b *testing.B) {
	const watchers = 10
	for name, frame := range framesOf {
		b.Run(fmt.Sprintf("stream=%s/nodes=500/watchers=%d", name, watchers), func(b *testing.B) {
			board := busyBoard(b, 500)
			listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a benchmark
			if err != nil {
				b.Fatal(err)
			}
			defer listener.Close()
			conns := make([]net.Conn, watchers)
			for i := range conns {
				reader, err := net.Dial("tcp", listener.Addr().String()) //nolint:noctx // a benchmark
				if err != nil {
					b.Fatal(err)
				}
				go func() {
					defer reader.Close()
					_, _ = io.Copy(io.Discard, reader)
				}()
				if conns[i], err = listener.Accept(); err != nil {
					b.Fatal(err)
				}
				defer conns[i].Close()
			}
			for b.Loop() {
				data := frame(board.State())
				for _, c := range conns {
					if _, err := c.Write(data); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

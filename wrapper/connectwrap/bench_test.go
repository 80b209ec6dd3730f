package connectwrap_test

import (
	"context"
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/holdfast-go/holdfast/internal/overhead"
	"github.com/holdfast-go/holdfast/resilience"
)

// BenchmarkUnary is a call over loopback to a server process, by a bare client,
// through ours with default settings, and without attempt timeouts, over each
// protocol:
//
//	go test -run '^$' -bench Unary/p50 -benchtime 20000x -count 5 .
//
// stack=… measure one after the other. p50 takes turns, call by call and in
// random order, so that what else the machine does hits all; it reports the
// medians, and by how much they exceed the bare one.
func BenchmarkUnary(b *testing.B) {
	addr := spawn(b, "-").addr
	for _, protocol := range []string{"connect", "grpc"} {
		ways := ways(b, protocol, addr)
		for _, w := range ways {
			b.Run("stack="+w.Name+"/protocol="+protocol, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.Do(b)
				}
			})
		}
		b.Run("p50/protocol="+protocol, func(b *testing.B) { overhead.P50(b, ways...) })
	}
}

// ways begins with the bare one. Nothing is shared between them but the server.
func ways(b *testing.B, protocol, addr string) []overhead.Way {
	way := func(name string, c *connect.Client[message, message]) overhead.Way {
		return overhead.Way{Name: name, Do: func(b *testing.B) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if _, err := call(ctx, c, "hello"); err != nil {
				b.Fatal(err)
			}
		}}
	}
	base := new(http.Transport)
	if protocol == "grpc" {
		base.Protocols = new(http.Protocols)
		base.Protocols.SetUnencryptedHTTP2(true)
	}
	b.Cleanup(base.CloseIdleConnections)
	options := append([]connect.ClientOption{connect.WithIdempotency(levels[put])}, protocols[protocol]...)
	uncut := resilience.Config{Settings: resilience.Settings{AttemptTimeout: -1}}
	return []overhead.Way{
		way("bare", connect.NewClient[message, message](&http.Client{Transport: base}, "http://"+addr+put, options...)),
		way("holdfast", client(newTransport(b, protocol == "grpc", resilience.Config{}, addr), put, protocols[protocol]...)),
		way("holdfast-uncut", client(newTransport(b, protocol == "grpc", uncut, addr), put, protocols[protocol]...)),
	}
}

package connectwrap_test

import (
	"context"
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/holdfast-go/holdfast/resilience"
)

// BenchmarkUnary: a call over loopback through a bare client and through ours,
// over each protocol.
func BenchmarkUnary(b *testing.B) {
	addr := serve(b, echo(func(_ context.Context, _, in string, _ http.Header) (string, error) { return in, nil }))
	for _, protocol := range []string{"connect", "grpc"} {
		options := protocols[protocol]
		run := func(b *testing.B, c *connect.Client[message, message]) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := call(b.Context(), c, "hello"); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run("stack=bare/protocol="+protocol, func(b *testing.B) {
			base := new(http.Transport)
			if protocol == "grpc" {
				base.Protocols = new(http.Protocols)
				base.Protocols.SetUnencryptedHTTP2(true)
			}
			defer base.CloseIdleConnections()
			run(b, connect.NewClient[message, message](&http.Client{Transport: base}, "http://"+addr+post, options...))
		})
		b.Run("stack=holdfast/protocol="+protocol, func(b *testing.B) {
			x := newTransport(b, protocol == "grpc", resilience.Config{}, addr)
			run(b, client(x, post, options...))
		})
	}
}

package grpcwrap

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/retry"
)

// What gRPC was about to send again was not processed, whatever its error
// says; but an interceptor that has sent several RPCs has made that worthless.
func TestReplayIsEvidence(t *testing.T) {
	st := status.New(codes.Unavailable, "a text that nobody knows")
	for _, row := range []struct {
		replay, spoiled bool
		want            retry.Effect
	}{
		{true, false, retry.None},
		{false, false, retry.Possible},
		{true, true, retry.Possible},
	} {
		a := &attempt{lookups: 2, replay: row.replay, spoiled: row.spoiled, info: ending{err: st.Err(), sent: true}}
		a.phase.Store(sent)
		if o, _ := new(exchange).evidence(a, st.Err()); o.Effect != row.want {
			t.Errorf("replay %v, spoiled %v: %v, want %v", row.replay, row.spoiled, o.Effect, row.want)
		}
	}
}

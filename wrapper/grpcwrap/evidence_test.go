package grpcwrap

import (
	"context"
	"testing"

	"google.golang.org/grpc/balancer"
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

// An interceptor that sends another RPC within an attempt is judged by all of
// them: that the one before was certainly not sent says nothing about it, and
// what is still under way may be carried out.
func TestEachRPCIsEvidence(t *testing.T) {
	lost := status.Error(codes.Unavailable, "lost")
	sub := new(subchannel)
	never := func(a *attempt, ctx context.Context) { _ = a.asked(ctx, sub) }
	for name, first := range map[string]func(*attempt, context.Context){
		"not connected": func(a *attempt, ctx context.Context) { never(a, ctx); _ = a.refuse(lost, false) },
		"gone":          func(a *attempt, ctx context.Context) { _ = a.asked(ctx, nil) },
		"replayed": func(a *attempt, ctx context.Context) {
			never(a, ctx)
			a.sends()
			a.done(balancer.DoneInfo{Err: lost})
			never(a, ctx)
		},
		"under way": func(a *attempt, ctx context.Context) { never(a, ctx); a.sends() },
	} {
		for _, sent := range []bool{true, false} {
			if !sent && name != "under way" {
				continue
			}
			a := new(attempt)
			for _, rpc := range []func(*attempt, context.Context){first, never} {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				rpc(a, ctx)
			}
			a.sends()
			a.done(balancer.DoneInfo{Err: lost, BytesSent: sent})
			if o, _ := new(exchange).evidence(a, lost); o.Effect != retry.Possible {
				t.Errorf("first %s, second sent %v: %v (%s), want possible", name, sent, o.Effect, o.Name)
			}
		}
	}
}

// What was answered says nothing about what an interceptor sent before it.
func TestAnswerBehindALostRPC(t *testing.T) {
	st := status.New(codes.FailedPrecondition, "it is there already")
	a := &attempt{lookups: 2, spoiled: true, ended: true, info: ending{err: st.Err(), sent: true, received: true}}
	a.phase.Store(sent)
	if o, _ := new(exchange).evidence(a, st.Err()); o.Effect != retry.Possible || o.Again {
		t.Errorf("%+v: want possible, and not again", o)
	}
}

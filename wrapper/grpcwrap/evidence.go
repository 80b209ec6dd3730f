package grpcwrap

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
)

// Rows of the outcome table, with a field changed where gRPC tells more.
var (
	// local never left, for a reason that the next attempt would meet too.
	local = resilience.Outcome{Name: resilience.NotSent.Name, Effect: retry.None, Node: breaker.Ignored}
	// drained was not sent since the server is about to leave, in good order.
	drained = with(resilience.NotSent, breaker.Ignored)
	// unreadable was answered by a message that is too large for us.
	unreadable = resilience.Outcome{Name: resilience.Ambiguous.Name, Effect: retry.Possible, Node: breaker.Success}
)

func with(o resilience.Outcome, node breaker.Result) resilience.Outcome {
	o.Node = node
	return o
}

// judge returns an attempt's error with its evidence; nil for a success.
func (x *exchange) judge(ctx context.Context, call *resilience.Call, a *attempt, err error) error {
	x.tries++
	x.answer = nil
	a.mu.Lock()
	defer a.mu.Unlock()
	trailer := a.info.trailer
	if len(trailer) > 0 {
		call.Charge(a, number(trailer[spentName]))
	}
	if err == nil {
		if x.key != "" {
			x.remember(first(trailer, expiresName), first(trailer, wordName), call.Start())
		}
		return nil
	}
	if a.replay && a.info.err != nil {
		err = a.info.err // errReplay is what we have told gRPC
	}
	o, final := x.evidence(a, err)
	if final && o.Effect == retry.Answered {
		x.answer = err
	}
	if x.key != "" {
		o = x.keyed(call, trailer, o)
	}
	switch {
	case final:
	case ctx.Err() != nil: // package resilience knows whether the node is to blame
		effect := o.Effect
		o = resilience.Abandoned
		o.Effect = effect
	case a.Context.Err() != nil && errors.Is(context.Cause(a.Context), resilience.ErrAttemptTimeout):
		err = status.Error(codes.DeadlineExceeded, "attempt timed out")
	}
	if o.Node == breaker.Failure && o.Again && !a.info.received {
		x.silent = append(x.silent, call.Node)
	}
	return resilience.Mark(err, o)
}

// evidence is what an error is known to mean. It is final if the server has
// said it, whatever happened to us meanwhile. Caller holds a.mu.
func (x *exchange) evidence(a *attempt, err error) (o resilience.Outcome, final bool) {
	st := status.Convert(err)
	phase := a.phase.Load()
	switch {
	case a.spoiled && !a.info.received:
		return resilience.Ambiguous, false
	case a.spoiled:
		return notBefore(x.byStatus(st, a.info.trailer)), true
	case a.gone:
		return drained, false
	case a.refusal != nil, phase == cutOff:
		return resilience.NotSent, false
	case a.replay:
		return unprocessed(st), false
	case a.lookups == 0: // gRPC found fault with the call itself
		return local, false
	case phase == unsent: // it waited for a connection
		return resilience.NotSent, false
	case !a.ended: // an interceptor has not waited for it
		return resilience.Ambiguous, false
	case !a.info.sent && (st.Code() == codes.Unavailable || phase == cutLate):
		return resilience.NotSent, false
	case !a.info.sent: // credentials, or metadata that are too large
		return local, false
	case a.info.received:
		o = x.byStatus(st, a.info.trailer)
		return o, len(a.info.trailer) > 0 || o.Effect == retry.Answered
	}
	return x.unanswered(st), false
}

// notBefore is an answer that says nothing of what was sent before it.
func notBefore(o resilience.Outcome) resilience.Outcome {
	o.Effect = retry.Possible
	return o
}

// unprocessed is a stream of which gRPC knows that the server did not process
// it: REFUSED_STREAM, above the last of a GOAWAY, or never written.
func unprocessed(st *status.Status) resilience.Outcome {
	if text := st.Message(); text == textDraining || text == textGoAway {
		return drained
	}
	return resilience.NotSent
}

// Texts of grpc-go's own errors, which have neither type nor value; if they
// change, what they tell is ambiguous again. They count only where no byte has
// come from the server, whose errors could carry any text.
const (
	textDraining = "the connection is draining"
	textGoAway   = "the stream is rejected because server is draining the connection"
	textRefused  = "stream terminated by RST_STREAM with error code: REFUSED_STREAM"
	textTooLarge = "trying to send message larger than max"
	textMarshal  = "grpc: error while marshaling"
	textCompress = "grpc: error while compressing"
	textReceived = "larger than max"
	textReset    = "stream terminated by RST_STREAM"
)

// unanswered was sent, and then lost: nothing has come from the server.
func (x *exchange) unanswered(st *status.Status) resilience.Outcome {
	text := st.Message()
	switch {
	case st.Code() == codes.Unavailable && (text == textDraining || text == textGoAway || text == textRefused):
		return unprocessed(st)
	case strings.HasPrefix(text, textTooLarge), strings.HasPrefix(text, textMarshal), strings.HasPrefix(text, textCompress):
		return local // the server has no message, and so no call
	}
	return resilience.Ambiguous
}

// byStatus is the outcome table's view of a status, by the HTTP status that
// stands beside it in google/rpc/code.proto. Trailers say that it is the
// server's, and not one that was made here when the answer was cut short.
func (x *exchange) byStatus(st *status.Status, trailer metadata.MD) resilience.Outcome {
	o := resilience.Ambiguous
	servers := len(trailer) > 0
	switch st.Code() {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.Unauthenticated, codes.PermissionDenied,
		codes.NotFound, codes.AlreadyExists, codes.Aborted, codes.Unimplemented:
		if servers || !strings.HasPrefix(st.Message(), textReset) {
			return resilience.Failed
		}
	case codes.ResourceExhausted:
		switch {
		case strings.Contains(st.Message(), textReceived) && servers:
			return resilience.Outcome{Name: resilience.Failed.Name, Effect: retry.None, Node: breaker.Success} // what we sent
		case strings.Contains(st.Message(), textReceived):
			return unreadable
		case servers:
			o = resilience.Refused
		}
	case codes.Unavailable:
		if servers && x.c.client.Settings().TrustRefusals {
			o = resilience.Refused
		}
	}
	return x.pushedBack(o, st.Code(), trailer)
}

const pushbackName = "grpc-retry-pushback-ms"

// pushedBack looks for the server's word on another attempt: gRFC A6. Where it
// is overloaded, it has turned the call away.
func (x *exchange) pushedBack(o resilience.Outcome, code codes.Code, trailer metadata.MD) resilience.Outcome {
	values := trailer[pushbackName]
	if len(values) == 0 {
		return o
	}
	ms, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || len(values) > 1 || ms < 0 {
		o.Again = false // "do not retry"
		return o
	}
	if code == codes.Unavailable || code == codes.ResourceExhausted {
		o = resilience.Refused
	}
	if o.Again = ms <= x.c.cfg.MaxPushback.Milliseconds(); o.Again {
		o.After = time.Duration(ms) * time.Millisecond
	}
	return o
}

package grpcwrap

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// GuardConfig describes a [Guard]. The zero GuardConfig is good for one
// process whose clients are all one tenant.
type GuardConfig struct {
	// Store, Lifetime, Lease, FailOpen, StoreTimeout and MaxAnswer are as in
	// idempotency.Config, where their defaults stand.
	Store        idempotency.Store
	Lifetime     time.Duration
	Lease        time.Duration
	FailOpen     bool
	StoreTimeout time.Duration
	MaxAnswer    int64

	// Tenant says whose call it is, from what is authenticated: see
	// idempotency.Config. Nil: all are one.
	Tenant func(ctx context.Context) string

	// Required answers INVALID_ARGUMENT to a call without a key of a method
	// that is neither safe nor idempotent by its protobuf idempotency_level.
	// Default false: it passes, unguarded.
	Required bool

	// Rerun says whether a call may be run again when nobody knows how an
	// earlier execution ended. Nil: never.
	Rerun func(ctx context.Context, method string) bool

	// Fingerprint returns what must be equal in a repeat. Nil: the message,
	// marshalled deterministically; it is then to be protobuf's. protobuf does
	// not promise that another version of it marshals alike: where keys have to
	// outlive an update of the server that changes that, name the fields that count.
	Fingerprint func(method string, req any) []byte

	// OnEvent is told of every call with a key when it has been answered, on
	// its goroutine. Nil: nobody is.
	OnEvent func(GuardEvent)
}

// GuardEvent is what became of a call with a key.
type GuardEvent struct {
	Method string
	Key    string
	Status string // as in the trailer idempotency-status; empty: it was run, and its answer kept unless Err says otherwise
	Err    error  // the store's
}

// Guard carries unary calls out once a key, as package idempotency does with
// HTTP requests, with its stores and its promises. The key is the metadata
// idempotency-key. What a repeat gets:
//
//	the first has ended                          its answer         replayed
//	it is still running                          ABORTED            in-progress
//	nobody knows how it ended                    INTERNAL           unknown
//	it ended, its answer is not kept             ALREADY_EXISTS     not-kept
//	the message is another one                   INVALID_ARGUMENT   not-executed
//	the store cannot be reached, or is full      UNAVAILABLE        not-executed
//	the key is missing or none                   INVALID_ARGUMENT   not-executed
//
// The last column stands in the trailer, as idempotency-status, and
// idempotency-expires says for how many seconds the key will be remembered; a
// [Client] acts on them. Kept, and sent again, are message or status, and the header and
// trailer that the handler has set; but RESOURCE_EXHAUSTED says that nothing
// was done, and frees the key.
//
// Handlers have the [idempotency.Execution] in their context; those that commit key and effect
// in one transaction use [Commit].
type Guard struct {
	cfg GuardConfig
	g   *idempotency.Guard
}

// NewGuard makes a Guard. It returns one error that lists all that is wrong.
func NewGuard(cfg GuardConfig) (*Guard, error) {
	g, err := idempotency.New(idempotency.Config{
		Store: cfg.Store, Lifetime: cfg.Lifetime, Lease: cfg.Lease, FailOpen: cfg.FailOpen,
		StoreTimeout: cfg.StoreTimeout, MaxAnswer: cfg.MaxAnswer,
	})
	if err != nil {
		return nil, err
	}
	return &Guard{cfg, g}, nil
}

// Unary is a grpc.UnaryServerInterceptor:
//
//	grpc.NewServer(grpc.ChainUnaryInterceptor(guard.Unary))
func (g *Guard) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	level := byProtocol(info.FullMethod)
	if level == retry.Safe {
		return next(ctx, req)
	}
	values := metadata.ValueFromIncomingContext(ctx, keyName)
	switch {
	case len(values) == 0 && (!g.cfg.Required || level == retry.Idempotent):
		return next(ctx, req)
	case len(values) != 1 || !sendable(values[0]):
		return nil, g.answer(ctx, info.FullMethod, "", idempotency.Result{Status: idempotency.NotExecuted}, errNoKey)
	}
	payload, err := g.fingerprint(info.FullMethod, req)
	if err != nil {
		return nil, g.answer(ctx, info.FullMethod, values[0], idempotency.Result{Status: idempotency.NotExecuted, Err: err}, errPayload)
	}
	want := idempotency.Request{
		Route: "grpc " + info.FullMethod, Key: values[0], Payload: payload,
		Rerun: g.cfg.Rerun != nil && g.cfg.Rerun(ctx, info.FullMethod),
	}
	if g.cfg.Tenant != nil {
		want.Tenant = g.cfg.Tenant(ctx)
	}
	var reply any
	var failed error
	var answer []byte
	result := g.g.Do(ctx, want, func(ctx context.Context) (_ []byte, release bool) {
		m := listen(ctx)
		reply, failed = next(m.ctx, req)
		if answer, err = m.encode(reply, failed); err != nil { // nobody can send it
			reply, failed = nil, status.Error(codes.Internal, err.Error())
			answer, _ = m.encode(nil, failed)
		}
		return answer, status.Code(failed) == codes.ResourceExhausted
	})
	switch {
	case result.Answer == nil:
		return nil, g.answer(ctx, info.FullMethod, want.Key, result, refusals[result.Status])
	case !bytes.Equal(result.Answer, answer): // an earlier call's, or what this one has committed
		kept, err := decode(result.Answer)
		if err != nil {
			result.Status, result.Err = idempotency.Unknown, err
			return nil, g.answer(ctx, info.FullMethod, want.Key, result, errUnknown)
		}
		if result.Status == idempotency.Replayed {
			kept.replay(ctx)
		}
		reply, failed = kept.reply()
	}
	return reply, g.tell(ctx, info.FullMethod, want.Key, result, failed)
}

// What is answered in place of the handler.
var (
	errNoKey   = status.Error(codes.InvalidArgument, "want one idempotency-key, of 1 to 255 characters of printable ASCII")
	errPayload = status.Error(codes.Internal, "the message has no fingerprint")
	errUnknown = status.Error(codes.Internal, "how the call with this idempotency-key ended is not known, and it is not carried out again")
	refusals   = map[string]error{
		idempotency.InProgress:  status.Error(codes.Aborted, "a call with this idempotency-key is still running: ask again"),
		idempotency.Unknown:     errUnknown,
		idempotency.NotKept:     status.Error(codes.AlreadyExists, "the call was carried out, and its answer was not kept"),
		idempotency.Mismatched:  status.Error(codes.InvalidArgument, "the idempotency-key was used for another call"),
		idempotency.NotExecuted: status.Error(codes.Unavailable, "idempotency keys cannot be looked up now"),
	}
)

var errNoProto = errors.New("grpcwrap: a message that is not protobuf's: set GuardConfig.Fingerprint")

func (g *Guard) fingerprint(method string, req any) ([]byte, error) {
	if g.cfg.Fingerprint != nil {
		return g.cfg.Fingerprint(method, req), nil
	}
	m, ok := req.(proto.Message)
	if !ok {
		return nil, errNoProto
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// answer tells what there is to tell, and returns err.
func (g *Guard) answer(ctx context.Context, method, key string, r idempotency.Result, err error) error {
	if r.Status == idempotency.Mismatched {
		r.Status = idempotency.NotExecuted
	}
	return g.tell(ctx, method, key, r, err)
}

// tell sets the trailer and returns err.
func (g *Guard) tell(ctx context.Context, method, key string, r idempotency.Result, err error) error {
	md := make(metadata.MD, 2)
	if r.Status != "" {
		md[wordName] = []string{r.Status}
	}
	if r.Expires > 0 {
		md[expiresName] = []string{strconv.FormatInt(int64(r.Expires/time.Second), 10)} // down: a client that believes it is never late
	}
	if len(md) > 0 {
		_ = grpc.SetTrailer(ctx, md) // the client has left otherwise, and will be back
	}
	if g.cfg.OnEvent != nil {
		g.cfg.OnEvent(GuardEvent{method, key, r.Status, r.Err})
	}
	return err
}

// Commit commits tx, and with it the call's key and its answer, which the
// handler returns after it: see idempotency.Execution.Commit. Without a key it
// just commits tx.
func Commit(ctx context.Context, tx *sql.Tx, reply proto.Message) error {
	x := idempotency.From(ctx)
	if x == nil {
		return tx.Commit()
	}
	m, ok := ctx.Value(listenerKey{}).(*listener)
	if !ok { // the key of an HTTP request
		return errors.Join(idempotency.ErrNoAnswer, tx.Rollback())
	}
	answer, err := m.encode(reply, nil)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return x.CommitAnswer(tx, answer)
}

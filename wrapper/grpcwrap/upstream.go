package grpcwrap

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/holdfast-go/holdfast/resilience"
)

// What client and server tell each other about retries, as decimal numbers;
// httpwrap says the same in headers.
const (
	previousName = "grpc-previous-rpc-attempts" // how many attempts of the call there were before: gRFC A6
	creditName   = "x-retry-credit"             // how many retries the server may make on the caller's account
	spentName    = "x-retry-spent"              // in the trailer: how many were made, in all layers underneath
)

// told is what the server has to know of the call's retries; nil: nothing.
func (a *attempt) told(call *resilience.Call) metadata.MD {
	credit, limited := call.Credit(a)
	if call.Attempt < 2 && !limited {
		return nil
	}
	md := make(metadata.MD, 2)
	if call.Attempt > 1 {
		md[previousName] = []string{strconv.Itoa(call.Attempt - 1)}
	}
	if limited {
		md[creditName] = []string{strconv.Itoa(credit)}
	}
	return md
}

// withoutCopies takes from outgoing metadata what a proxy has copied of its
// own caller's retries: it is not ours to give.
func withoutCopies(md metadata.MD) (changed bool) {
	for _, name := range [...]string{previousName, creditName} {
		if _, ok := md[name]; ok {
			delete(md, name)
			changed = true
		}
	}
	return changed
}

// number reads one, 0 where there is none. Nobody has to do with more digits.
func number(values []string) int {
	if len(values) != 1 || len(values[0]) > 6 {
		return 0
	}
	n, err := strconv.ParseUint(values[0], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// ServerOptions are the server's half against retries that multiply from
// layer to layer: calls that handlers make with their context, through any
// holdfast client, are retried on the account of the caller (see
// [resilience.WithUpstream]), and the trailer tells what they have spent.
//
// Only callers for which trusted is true are believed, and told; nil trusts
// nobody. It should be true for services of one's own and false for whoever
// comes from outside.
func ServerOptions(trusted func(ctx context.Context, method string) bool) []grpc.ServerOption {
	if trusted == nil {
		return nil
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if !trusted(ctx, info.FullMethod) {
				return next(ctx, req)
			}
			ctx, account := resilience.WithUpstream(ctx, upstream(ctx))
			defer func() {
				if md := spent(account); md != nil {
					_ = grpc.SetTrailer(ctx, md) // the caller has left otherwise
				}
			}()
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if !trusted(s.Context(), info.FullMethod) {
				return next(srv, s)
			}
			ctx, account := resilience.WithUpstream(s.Context(), upstream(s.Context()))
			defer func() {
				if md := spent(account); md != nil {
					s.SetTrailer(md)
				}
			}()
			return next(srv, served{s, ctx})
		}),
	}
}

// upstream is what the caller says.
func upstream(ctx context.Context) resilience.Upstream {
	md, _ := metadata.FromIncomingContext(ctx)
	up := resilience.Upstream{}
	if n := number(md[previousName]); n > 0 {
		up.Attempt = n + 1
	}
	if credit, ok := md[creditName]; ok {
		up.Limited, up.Credit = true, number(credit)
	}
	return up
}

func spent(a *resilience.Account) metadata.MD {
	if n := a.Retries(); n > 0 {
		return metadata.MD{spentName: {strconv.Itoa(n)}}
	}
	return nil
}

// served is a stream with a context of ours.
type served struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s served) Context() context.Context { return s.ctx }

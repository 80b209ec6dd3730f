package grpcwrap

import (
	"context"

	"google.golang.org/grpc"
)

type stream struct{ desc *grpc.StreamDesc }

func (s *stream) freeze() bool { return false }
func (s *stream) thaw()        {}

func (c *Client) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(ctx, desc, cc, method, opts...)
}

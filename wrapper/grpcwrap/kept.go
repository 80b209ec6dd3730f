package grpcwrap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

// listener hears what header and trailer a handler sets.
type listener struct {
	grpc.ServerTransportStream
	ctx context.Context

	mu              sync.Mutex
	header, trailer metadata.MD
}

type listenerKey struct{}

// listen returns the handler's context, as m.ctx. The transport goes on
// hearing, too.
func listen(ctx context.Context) *listener {
	m := &listener{ServerTransportStream: grpc.ServerTransportStreamFromContext(ctx)}
	m.ctx = context.WithValue(ctx, listenerKey{}, m)
	if m.ServerTransportStream != nil {
		m.ctx = grpc.NewContextWithServerTransportStream(m.ctx, m)
	}
	return m
}

// SetHeader implements grpc.ServerTransportStream.
func (m *listener) SetHeader(md metadata.MD) error {
	m.hear(&m.header, md)
	return m.ServerTransportStream.SetHeader(md)
}

// SendHeader implements grpc.ServerTransportStream.
func (m *listener) SendHeader(md metadata.MD) error {
	m.hear(&m.header, md)
	return m.ServerTransportStream.SendHeader(md)
}

// SetTrailer implements grpc.ServerTransportStream.
func (m *listener) SetTrailer(md metadata.MD) error {
	m.hear(&m.trailer, md)
	return m.ServerTransportStream.SetTrailer(md)
}

func (m *listener) hear(to *metadata.MD, md metadata.MD) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*to = metadata.Join(*to, md)
}

// kept is an answer as it is kept: status or message, header and trailer.
type kept struct {
	status          *status.Status // nil: there is a message
	name            string         // the message's full name
	message         []byte
	header, trailer metadata.MD
}

var errKept = errors.New("grpcwrap: the kept answer cannot be read")

// encode is what the handler has answered.
func (m *listener) encode(reply any, failed error) (b []byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b = appendMD(appendMD(nil, m.header), m.trailer)
	if failed != nil {
		st, err := proto.Marshal(status.Convert(failed).Proto())
		if err != nil {
			return nil, err
		}
		return append(appendString(b, ""), st...), nil
	}
	msg, ok := reply.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("grpcwrap: a reply of type %T, which cannot be kept: want protobuf's", reply)
	}
	b = appendString(b, string(proto.MessageName(msg)))
	return proto.MarshalOptions{}.MarshalAppend(b, msg)
}

func appendMD(b []byte, md metadata.MD) []byte {
	n := 0
	for _, values := range md {
		n += len(values)
	}
	b = binary.AppendUvarint(b, uint64(n))
	for name, values := range md {
		for _, value := range values {
			b = appendString(appendString(b, name), value)
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func decode(b []byte) (k kept, err error) {
	if k.header, b, err = takeMD(b); err != nil {
		return k, err
	}
	if k.trailer, b, err = takeMD(b); err != nil {
		return k, err
	}
	if k.name, b, err = takeString(b); err != nil {
		return k, err
	}
	if k.name != "" {
		k.message = b
		return k, nil
	}
	st := status.New(codes.OK, "").Proto()
	if err := proto.Unmarshal(b, st); err != nil || st.GetCode() == 0 {
		return k, errKept
	}
	k.status = status.FromProto(st)
	return k, nil
}

func takeMD(b []byte) (md metadata.MD, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return nil, nil, errKept
	}
	b = b[size:]
	for range n {
		var name, value string
		if name, b, err = takeString(b); err != nil {
			return nil, nil, err
		}
		if value, b, err = takeString(b); err != nil {
			return nil, nil, err
		}
		if md == nil {
			md = make(metadata.MD)
		}
		md[name] = append(md[name], value)
	}
	return md, b, nil
}

func takeString(b []byte) (s string, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, errKept
	}
	b = b[size:]
	return string(b[:n]), b[n:], nil
}

// replay sends header and trailer once more.
func (k *kept) replay(ctx context.Context) {
	if len(k.header) > 0 {
		_ = grpc.SetHeader(ctx, k.header) // an error: the client has left
	}
	if len(k.trailer) > 0 {
		_ = grpc.SetTrailer(ctx, k.trailer)
	}
}

// reply is the answer itself.
func (k *kept) reply() (any, error) {
	if k.status != nil {
		return nil, k.status.Err()
	}
	if t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(k.name)); err == nil {
		m := t.New().Interface()
		if proto.Unmarshal(k.message, m) == nil {
			return m, nil
		}
	}
	// Of a type that is not linked in, the bytes are as good.
	m := new(emptypb.Empty)
	m.ProtoReflect().SetUnknown(k.message)
	return m, nil
}

package grpcwrap

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// FuzzDecode: a store may return anything.
func FuzzDecode(f *testing.F) {
	m := new(listener)
	ok, err := m.encode(wrapperspb.String("text"), nil)
	if err != nil {
		f.Fatal(err)
	}
	failed, err := m.encode(nil, status.Error(codes.NotFound, "nothing"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ok)
	f.Add(failed)
	f.Add([]byte{})
	f.Add([]byte{0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		if k, err := decode(b); err == nil {
			_, _ = k.reply()
		}
	})
}

// A message of a type that is not linked in is sent again all the same.
func TestReplyOfUnknownType(t *testing.T) {
	b, err := new(listener).encode(wrapperspb.String("text"), nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	k.name = "not.linked.In"
	reply, err := k.reply()
	if err != nil {
		t.Fatal(err)
	}
	wire, err := proto.Marshal(reply.(proto.Message))
	if err != nil {
		t.Fatal(err)
	}
	got := new(wrapperspb.StringValue)
	if err := proto.Unmarshal(wire, got); err != nil || got.GetValue() != "text" {
		t.Errorf("%v, %v", got, err)
	}
}

package grpcwrap

import (
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/holdfast-go/holdfast/retry"
)

// levels are what protobuf says of methods, by their full name.
var levels struct {
	of sync.Map // string → retry.Idempotency
	n  atomic.Int64
}

// maxLevels bounds the memory: proxies call methods by names of others.
const maxLevels = 4096

// byProtocol is the idempotency_level of the method "/users.Users/Get", if its
// descriptor is linked into this program, as generated code sees to.
func byProtocol(method string) retry.Idempotency {
	if level, ok := levels.of.Load(method); ok {
		return level.(retry.Idempotency)
	}
	level, known := lookUp(method)
	if known && levels.n.Load() < maxLevels {
		levels.n.Add(1)
		levels.of.Store(strings.Clone(method), level)
	}
	return level
}

func lookUp(method string) (level retry.Idempotency, known bool) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return retry.Unspecified, false
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return retry.Unspecified, false
	}
	options, _ := m.Options().(*descriptorpb.MethodOptions)
	switch options.GetIdempotencyLevel() {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		return retry.Safe, true
	case descriptorpb.MethodOptions_IDEMPOTENT:
		return retry.Idempotent, true
	}
	return retry.Unspecified, true
}

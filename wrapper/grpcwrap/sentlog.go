package grpcwrap

import (
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// sentLog is what a stream has sent, kept for another attempt as far as the
// limit goes, and the stream that takes more.
type sentLog struct {
	mu   sync.Mutex
	turn sync.Cond // on mu: something has changed

	limit  int
	size   int
	kept   []any
	lost   bool              // more was sent than is kept
	frozen bool              // another attempt is promised: what cannot be kept waits
	closed bool              // no more will be sent
	cs     grpc.ClientStream // nil: there is none, or it is still being sent what was
}

func (l *sentLog) init(limit int) {
	l.limit = limit
	l.turn.L = &l.mu
}

// overhead stands for what a message costs besides its bytes.
const overhead = 64

// sizeOf is how much a message counts; -1: nobody knows.
func sizeOf(m any) int {
	switch m := m.(type) {
	case proto.Message:
		return proto.Size(m) + overhead
	case interface{ Size() int }:
		return m.Size() + overhead
	}
	return -1
}

// add keeps m if there is room, and returns the stream to send it on. With
// neither, the call has been decided meanwhile.
func (l *sentLog) add(m any, decided func() bool) (cs grpc.ClientStream, kept bool) {
	size := sizeOf(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	fits := func() bool { return !l.lost && size >= 0 && l.size+size <= l.limit }
	for !decided() && ((l.frozen && !fits()) || (l.cs == nil && !fits())) {
		l.turn.Wait()
	}
	switch {
	case decided():
		return nil, false
	case fits():
		l.kept, l.size = append(l.kept, m), l.size+size
		return l.cs, true
	}
	l.lost = true
	l.kept = nil // all of it is on its way: there is a stream
	return l.cs, false
}

// close notes that no more will be sent, and returns the stream to tell.
func (l *sentLog) close() grpc.ClientStream {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.cs
}

// replay sends on a new stream all that was sent, and makes it the one that
// takes more. A stream that has ended says so when its answer is asked for.
func (l *sentLog) replay(cs grpc.ClientStream) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = false
	for i := 0; i < len(l.kept); i++ {
		m := l.kept[i]
		l.mu.Unlock()
		err := cs.SendMsg(m)
		l.mu.Lock()
		if err == io.EOF { //nolint:errorlint // gRPC's contract
			return nil
		}
		if err != nil {
			return err
		}
	}
	if l.closed {
		_ = cs.CloseSend() // always nil, and does not wait
	}
	l.cs = cs
	l.turn.Broadcast()
	return nil
}

// stop says that the stream takes no more.
func (l *sentLog) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cs = nil
}

// freeze promises another attempt, or takes that back. It reports whether all
// that was sent is kept.
func (l *sentLog) freeze(on bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = on && !l.lost
	l.turn.Broadcast()
	return !l.lost
}

// forget says that there will be no other attempt. Caller holds mu.
func (l *sentLog) forget() {
	l.kept, l.frozen = nil, false
	l.turn.Broadcast()
}

// Package keys is what the wrapped clients have in common about idempotency
// keys: a new one, and how long a server remembers it.
package keys

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"
	"time"
)

// New returns a random UUID (RFC 9562 §5.4).
func New() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	var b [36]byte
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	hex.Encode(b[0:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:])
	return string(b[:])
}

// Lifetime is how long a server knows a key, as it has last published for a
// new one. The zero value: it has not. It is safe for concurrent use.
type Lifetime struct{ ns atomic.Int64 } // and 1

// Learn returns until when attempts with a key may begin, of which the server
// has said in an answer to an attempt that began at start that it knows it for
// so many seconds. What it says of a new key it will say of others. ok is false
// where it has said nothing that can be read.
func (l *Lifetime) Learn(seconds string, isNew bool, start time.Time) (expires time.Time, ok bool) {
	n, err := strconv.ParseUint(seconds, 10, 32)
	if err != nil {
		return time.Time{}, false
	}
	lifetime := time.Duration(n) * time.Second
	if isNew {
		l.ns.Store(int64(lifetime) + 1)
	}
	return start.Add(usable(lifetime)), true
}

// Expires returns until when attempts may begin with a key that is first sent
// at start; zero: nobody knows.
func (l *Lifetime) Expires(start time.Time) time.Time {
	if known := l.ns.Load(); known > 0 {
		return start.Add(usable(time.Duration(known - 1)))
	}
	return time.Time{}
}

// usable is the part of a key's lifetime in which an attempt may begin: one
// that comes late is carried out anew.
func usable(lifetime time.Duration) time.Duration { return lifetime - min(lifetime/10, 10*time.Second) }

package idempotency

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// An answer is kept as one piece of bytes: its kind, its status, its header
// fields and its body.
const (
	kindWhole = 'W' // status, header, body
	kindCut   = 'C' // status: the rest is not kept
)

// errAnswer says that a store returned what it was never given.
var errAnswer = errors.New("idempotency: the kept answer cannot be read")

// hopByHop are the fields that are about one connection or message, and not
// about the answer: RFC 9110 §7.6.1.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	HeaderStatus: true, HeaderExpires: true, // ours, and different in a replay
}

// appendHead appends all of an answer but its body.
func appendHead(b []byte, kind byte, status int, header http.Header) []byte {
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(status))
	if kind != kindWhole {
		return b
	}
	count := 0
	for name, values := range header {
		if !hopByHop[name] {
			count += len(values)
		}
	}
	b = binary.AppendUvarint(b, uint64(count))
	for name, values := range header {
		if hopByHop[name] {
			continue
		}
		for _, value := range values {
			b = appendString(b, name)
			b = appendString(b, value)
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// answer is what appendHead and a body came to, read again.
type answer struct {
	kind   byte
	status int
	header http.Header
	body   []byte // a part of what was read
}

// parseAnswer reads what a store has kept.
func parseAnswer(b []byte) (a answer, err error) {
	if len(b) == 0 {
		return a, errAnswer
	}
	r := reader{rest: b[1:]}
	switch a.kind = b[0]; a.kind {
	case kindCut:
		a.status = r.status()
		return a, r.end()
	case kindWhole:
		a.status = r.status()
		a.header = make(http.Header)
		for range r.number(len(r.rest)) {
			name := r.string()
			a.header[name] = append(a.header[name], r.string())
		}
		a.body = r.rest
		return a, r.err
	}
	return a, errAnswer
}

// reader takes values off the front; after an error, zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) number(most int) int {
	n, size := binary.Uvarint(r.rest)
	if r.err != nil || size <= 0 || n > uint64(most) {
		r.err, r.rest = errAnswer, nil
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

func (r *reader) status() int {
	n := r.number(999)
	if n < 100 {
		r.err = errAnswer
	}
	return n
}

func (r *reader) string() string {
	n := r.number(len(r.rest))
	if n > len(r.rest) { // the length itself took some
		r.err, r.rest = errAnswer, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		return errAnswer
	}
	return r.err
}

// replay sends a kept answer once more.
func (a *answer) replay(w http.ResponseWriter, expires time.Duration) {
	h := w.Header()
	maps.Copy(h, a.header)
	h[HeaderStatus] = []string{Replayed}
	h[HeaderExpires] = seconds(expires)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client has gone, or a 204 has none
}

// seconds is the value of the header Idempotency-Expires: rounded down, for
// then a client that believes it is never late.
func seconds(d time.Duration) []string {
	return []string{strconv.FormatInt(max(int64(d/time.Second), 0), 10)}
}

// refuses reports whether a status says by itself that nothing was carried
// out: RFC 9110 §15.5.9, §15.5.20, RFC 8470 §5.2, RFC 6585 §4. A client tries again
// then, and it must not get the refusal again.
func refuses(status int) bool { return slices.Contains(refusals[:], status) }

var refusals = [...]int{
	http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests,
}

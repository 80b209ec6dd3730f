package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// rounds is how many times every server is asked before a question has failed:
// datagrams get lost.
const rounds = 2

// resolver asks questions, one at a time.
type resolver struct {
	clk     clock.Clock
	servers func() []string
	timeout time.Duration
	first   int // which server is asked first: the one that answered last
}

// ask asks the servers in turn. It fails when none has answered; that there is
// no such name is an answer.
func (r *resolver) ask(ctx context.Context, q question) (message, error) {
	servers := r.servers()
	var last error
	for i := range rounds * len(servers) {
		at := (r.first + i) % len(servers)
		m, err := r.exchange(ctx, servers[at], q)
		if err == nil && (m.code == codeOK || m.code == codeNoName) {
			r.first = at
			return m, nil
		}
		if err == nil {
			err = refusal(m.code)
		}
		var timeout net.Error
		last = &net.DNSError{
			UnwrapErr: err, Err: reason(err), Name: q.name, Server: servers[at], IsTemporary: true,
			IsTimeout: errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout(),
		}
		if ctx.Err() != nil {
			break
		}
	}
	return message{}, last
}

// reason is err without the ports that it happened on, which are others each
// time.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

// refusal is a response code that is no answer.
type refusal uint8

func (c refusal) Error() string {
	names := [...]string{1: "format error", 2: "server failure", 4: "not implemented", 5: "refused"}
	if int(c) < len(names) && names[c] != "" {
		return "server says: " + names[c]
	}
	return "server says: error"
}

// exchange asks one server: by UDP, by TCP where the answer does not fit, and
// without the extension that says what fits if it is too old for that.
func (r *resolver) exchange(ctx context.Context, server string, q question) (message, error) {
	m, err := r.roundTrip(ctx, "udp", server, q, true)
	extended := err != nil || m.code != codeFormat
	if !extended {
		m, err = r.roundTrip(ctx, "udp", server, q, false)
	}
	if err == nil && m.truncated {
		m, err = r.roundTrip(ctx, "tcp", server, q, extended)
		if err == nil && m.truncated {
			err = errMessage
		}
	}
	return m, err
}

func (r *resolver) roundTrip(ctx context.Context, network, server string, q question, extended bool) (message, error) {
	id := uint16(r.clk.Rand()) //nolint:gosec // its low bits; the source port is as random, and the socket is connected
	ask, err := query(id, q, extended)
	if err != nil {
		return message{}, err
	}
	ctx, cancel := r.clk.WithTimeout(ctx, r.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return message{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) //nolint:forbidigo // a socket waits for real, whatever the clock
	defer stop()
	m, err := converse(conn, network == "tcp", ask, func(m *message) bool {
		return m.response && m.id == id && m.asked == q
	})
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return m, err
}

// converse sends a message and reads until its reply comes. By UDP, what is not
// is somebody else's, and passed over.
func converse(conn net.Conn, stream bool, ask []byte, ours func(*message) bool) (message, error) {
	buf := make([]byte, maxUDP)
	if stream {
		ask = append(binary.BigEndian.AppendUint16(nil, uint16(len(ask))), ask...) //nolint:gosec // a query is short
	}
	if _, err := conn.Write(ask); err != nil {
		return message{}, err
	}
	for {
		n, err := 0, error(nil)
		if stream {
			buf, err = readFrame(conn)
			n = len(buf)
		} else {
			n, err = conn.Read(buf)
		}
		if err != nil {
			return message{}, err
		}
		m, err := parse(buf[:n])
		if err == nil && !ours(&m) {
			err = errMessage
		}
		if err == nil || stream {
			return m, err
		}
	}
}

// readFrame reads a message and the length before it: RFC 1035 §4.2.2.
func readFrame(conn io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(conn, buf)
	return buf, err
}

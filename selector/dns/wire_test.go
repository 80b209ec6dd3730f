package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// answerA is the reply to a query for an address, with a compressed name.
func answerA(ask []byte, addr byte) []byte {
	end := headerSize
	for ask[end] != 0 {
		end += int(ask[end]) + 1
	}
	m := append([]byte(nil), ask[:end+5]...)
	m[2] |= 0x80
	m[7], m[11] = 1, 0
	return append(m, 0xc0, headerSize, 0, typeA, 0, classIN, 0, 0, 0, 60, 0, 4, 127, 0, 0, addr)
}

// scripted answers over UDP and TCP on one port of loopback.
func scripted(t *testing.T, udp func(reply func([]byte), ask []byte), tcp func(ask []byte) []byte) string {
	t.Helper()
	pc, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", pc.LocalAddr().String())
	if err != nil {
		t.Skip("the port is taken by TCP")
	}
	t.Cleanup(func() { _, _ = pc.Close(), l.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			udp(func(m []byte) { _, _ = pc.WriteTo(m, from) }, buf[:n])
		}
	}()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			_, _ = io.ReadFull(conn, size[:])
			ask := make([]byte, binary.BigEndian.Uint16(size[:]))
			_, _ = io.ReadFull(conn, ask)
			m := tcp(ask)
			_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
			conn.Close()
		}
	}()
	return pc.LocalAddr().String()
}

func askOne(servers ...string) (message, error) {
	r := resolver{clk: clock.System, servers: func() []string { return servers }, timeout: 300 * time.Millisecond}
	return r.ask(context.Background(), question{"x.test.", typeA})
}

func noTCP([]byte) []byte { return nil }

func wantAddr(t *testing.T, last byte, m message, err error) {
	t.Helper()
	if err != nil || len(m.answers) != 1 || m.answers[0].addr != netip.AddrFrom4([4]byte{127, 0, 0, last}) || m.answers[0].ttl != 60 {
		t.Errorf("%+v, %v: want 127.0.0.%d", m, err, last)
	}
}

// TestSpoofs: datagrams with another number, another question, no reply bit or
// half a record are passed over.
func TestSpoofs(t *testing.T) {
	server := scripted(t, func(reply func([]byte), ask []byte) {
		for _, spoil := range []func(m []byte){
			func(m []byte) { m[0]++ },
			func(m []byte) { m[headerSize+1] = 'y' },
			func(m []byte) { m[2] &^= 0x80 },
			func(m []byte) { m[len(m)-5] = 200 },
		} {
			m := answerA(ask, 66)
			spoil(m)
			reply(m)
		}
		reply([]byte("x"))
		reply(answerA(ask, 2))
	}, noTCP)
	m, err := askOne(server)
	wantAddr(t, 2, m, err)
}

// TestTruncated: the rest comes by TCP, where nothing else is believed.
func TestTruncated(t *testing.T) {
	truncated := func(reply func([]byte), ask []byte) {
		m := answerA(ask, 66)
		m[2] |= 0x02
		reply(m[:len(m)-3])
	}
	m, err := askOne(scripted(t, truncated, func(ask []byte) []byte { return answerA(ask, 3) }))
	wantAddr(t, 3, m, err)
	if m, err := askOne(scripted(t, truncated, func([]byte) []byte { return answerA(make([]byte, 20), 66) })); err == nil {
		t.Errorf("another's reply by TCP: %+v", m)
	}
}

// TestOldServer: one that does not know the extension is asked without it.
func TestOldServer(t *testing.T) {
	server := scripted(t, func(reply func([]byte), ask []byte) {
		m := answerA(ask, 4)
		if ask[11] != 0 {
			m = ask[:headerSize+12]
			m[2], m[3], m[11] = m[2]|0x80, codeFormat, 0
		}
		reply(m)
	}, noTCP)
	m, err := askOne(server)
	wantAddr(t, 4, m, err)
}

// TestNextServer: one that refuses or says nothing is passed over, and asked
// last from then on.
func TestNextServer(t *testing.T) {
	var refusals atomic.Int32
	refuses := scripted(t, func(reply func([]byte), ask []byte) {
		refusals.Add(1)
		m := answerA(ask, 66)
		m[3] = 5
		reply(m)
	}, noTCP)
	silent := scripted(t, func(func([]byte), []byte) {}, noTCP)
	good := scripted(t, func(reply func([]byte), ask []byte) { reply(answerA(ask, 5)) }, noTCP)
	r := resolver{clk: clock.System, servers: func() []string { return []string{refuses, silent, good} }, timeout: 200 * time.Millisecond}
	for range 2 {
		m, err := r.ask(t.Context(), question{"x.test.", typeA})
		wantAddr(t, 5, m, err)
	}
	if n := refusals.Load(); n != 1 {
		t.Errorf("the server that refuses was asked %d times, want once", n)
	}
	_, err := askOne(refuses)
	var dns *net.DNSError
	if !errors.As(err, &dns) || dns.IsTimeout || !dns.IsTemporary || !strings.Contains(err.Error(), "refused") {
		t.Errorf("refused: %v", err)
	}
	if _, err = askOne(silent); !errors.As(err, &dns) || !dns.IsTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent: %v", err)
	}
}

// TestCloseEndsALook: a look at a silent server ends with the source, which
// does not wait for it.
func TestCloseEndsALook(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := scripted(t, func(func([]byte), []byte) { asked <- struct{}{} }, noTCP)
	ctx, cancel := context.WithCancel(t.Context())
	r := resolver{clk: clock.System, servers: func() []string { return []string{server} }, timeout: time.Hour}
	go func() { <-asked; cancel() }()
	if _, err := r.ask(ctx, question{"x.test.", typeA}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// FuzzParse: any bytes are a message or an error, in no time, and names come
// out so that they can be asked for or are refused.
func FuzzParse(f *testing.F) {
	ask, err := query(7, question{"x.test.", typeA}, true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ask)
	f.Add(answerA(ask, 1))
	f.Add(append(make([]byte, headerSize), 0xc0, headerSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data)
		if err != nil {
			return
		}
		for _, section := range [][]record{m.answers, m.authority, m.extra} {
			for _, r := range section {
				for _, name := range []string{r.name, r.target} {
					if name == "" || name == "." || checkName(name) != nil {
						continue
					}
					q := question{name, typeA}
					ask, err := query(1, q, false)
					if err != nil {
						t.Fatalf("%q: %v", name, err)
					}
					if back, err := parse(ask); err != nil || back.asked != q {
						t.Fatalf("%q came back as %+v, %v", name, back.asked, err)
					}
				}
			}
		}
	})
}

func TestNameservers(t *testing.T) {
	conf := "# comment\nnameserver 10.0.0.1\n  nameserver fe80::1%eth0 # here\nsearch example.com\nnameserver\nnameserver nonsense\nnameserver ::1\nnameserver 10.0.0.4\n"
	if got := strings.Join(nameservers(conf), " "); got != "10.0.0.1:53 [fe80::1%eth0]:53 [::1]:53" {
		t.Error(got)
	}
	if got := strings.Join(systemServers("/nonexistent"), " "); got != "127.0.0.1:53 [::1]:53" {
		t.Error(got)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		s    Source
		want []string
	}{
		{Source{Host: "users.test", Port: 1}, nil},
		{Source{SRV: "_a._tcp.users.test", Network: "ip6", Servers: []string{"[::1]:53"}, Shortest: time.Hour}, nil},
		{Source{}, []string{"host: want a name, or srv"}},
		{Source{Host: "a", SRV: "b", Port: 1}, []string{`srv "b": want none beside host "a"`}},
		{Source{SRV: "b", Port: 1}, []string{"port 1: want none beside srv"}},
		{Source{Host: "10.0.0.1", Port: 1}, []string{`host "10.0.0.1": want a name`}},
		{
			Source{Host: "a..b", Network: "tcp", Servers: []string{"10.0.0.1"}, Timeout: 1, Shortest: time.Minute, Longest: time.Second},
			[]string{"port 0: want 1 to 65535", `name "a..b": want labels`, `network "tcp"`, `servers[0] "10.0.0.1": want host:port`, "timeout 1ns", "longest 1s: want at least shortest, 1m0s"},
		},
		{Source{Host: strings.Repeat("a", 64), Port: 1, Servers: []string{}}, []string{"want labels of 1 to 63", "servers: want at least one, or nil"}},
		{Source{Host: strings.Repeat("a.", 127) + "a", Port: 1}, []string{"name of 255 characters"}},
		{Source{Host: "a b", Port: 1, Shortest: 1}, []string{"want printable ASCII", "shortest 1ns"}},
	}
	for i := range tests {
		err := tests[i].s.Validate()
		var lines []string
		if err != nil {
			lines = strings.Split(err.Error(), "\n")
		}
		if len(lines) != len(tests[i].want) {
			t.Errorf("%d: got %v, want %q", i, err, tests[i].want)
			continue
		}
		for k, want := range tests[i].want {
			if !strings.Contains(lines[k], want) {
				t.Errorf("%d: got %q, want %q", i, lines[k], want)
			}
		}
	}
}

// TestOnce: a source serves one client, and none once it is closed.
func TestOnce(t *testing.T) {
	s := &Source{Host: "x.test", Port: 1, answers: func(context.Context, question) (message, error) {
		return message{answers: []record{a("x.test.", "10.0.0.1", 60)}}, nil
	}}
	l := watch(t, s)
	<-l
	if err := s.Watch(l.report); err == nil || !strings.Contains(err.Error(), "already") {
		t.Error(err)
	}
	_ = s.Close()
	if err := s.Watch(l.report); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
}

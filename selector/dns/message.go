package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// The wire format of RFC 1035 §4, as far as a stub resolver needs it that asks
// for addresses and services.

// Record types: RFC 1035 §3.2.2, RFC 3596, RFC 2782, RFC 6891.
const (
	typeA     = 1
	typeCNAME = 5
	typeSOA   = 6
	typeAAAA  = 28
	typeSRV   = 33
	typeOPT   = 41

	classIN = 1
)

// Response codes: RFC 1035 §4.1.1.
const (
	codeOK     = 0
	codeFormat = 1
	codeNoName = 3
)

const (
	headerSize = 12
	maxName    = 255  // RFC 1035 §2.3.4
	maxLabel   = 63   // the same
	maxUDP     = 1232 // what we take by UDP: passes everywhere unfragmented (DNS flag day 2020)
)

// question is what is asked: a name in lower case that ends in a dot, and a
// type.
type question struct {
	name string
	kind uint16
}

// record is what is read of a resource record. Fields that its type does not
// have are zero.
type record struct {
	name     string
	kind     uint16
	ttl      uint32
	addr     netip.Addr // of A and AAAA
	target   string     // of CNAME and SRV
	priority uint16     // of SRV, as the next two
	weight   uint16
	port     uint16
	minimum  uint32 // of SOA: how long "there is none" holds, RFC 2308 §4
}

// message is a reply.
type message struct {
	id        uint16
	response  bool
	truncated bool
	code      uint8
	asked     question
	answers   []record
	authority []record
	extra     []record
}

var errMessage = errors.New("malformed message")

// query makes the message that asks q. With extended, it says how much we take
// by UDP (RFC 6891).
func query(id uint16, q question, extended bool) ([]byte, error) {
	b := make([]byte, headerSize, 64)
	binary.BigEndian.PutUint16(b, id)
	b[2] = 1 // recursion desired
	b[5] = 1 // one question
	b, err := appendName(b, q.name)
	if err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint16(b, q.kind)
	b = binary.BigEndian.AppendUint16(b, classIN)
	if extended {
		b[11] = 1 // one additional record: the root's name, the type, the size in place of the class, and nothing else
		b = append(b, 0, 0, typeOPT, maxUDP>>8, maxUDP&0xff, 0, 0, 0, 0, 0, 0)
	}
	return b, nil
}

func appendName(b []byte, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		b = append(b, byte(len(label)))
		b = append(b, label...)
	}
	return append(b, 0), nil
}

// checkName returns what is wrong with a name, with or without its last dot.
func checkName(name string) error {
	name = strings.TrimSuffix(name, ".")
	if len(name)+2 > maxName {
		return fmt.Errorf("name of %d characters: want at most %d", len(name), maxName-2)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return fmt.Errorf("name %q: want labels of 1 to %d characters between dots", name, maxLabel)
		}
		for i := range len(label) {
			if c := label[i]; c <= ' ' || c > '~' || c == '\\' {
				return fmt.Errorf("name %q: want printable ASCII without blanks and \\", name)
			}
		}
	}
	return nil
}

// parse reads a reply. What it does not know it passes over; it fails when the
// message ends early or a name does not.
func parse(msg []byte) (m message, err error) {
	if len(msg) < headerSize {
		return m, errMessage
	}
	m.id = binary.BigEndian.Uint16(msg)
	m.response, m.truncated, m.code = msg[2]&0x80 != 0, msg[2]&0x02 != 0, msg[3]&0x0f
	at := headerSize
	for i := range int(binary.BigEndian.Uint16(msg[4:])) {
		name, next, err := readName(msg, at)
		if err != nil || next+4 > len(msg) {
			return m, errMessage
		}
		if i == 0 {
			m.asked = question{name, binary.BigEndian.Uint16(msg[next:])}
		}
		at = next + 4
	}
	for i, section := range []*[]record{&m.answers, &m.authority, &m.extra} {
		for range int(binary.BigEndian.Uint16(msg[6+2*i:])) {
			r, next, err := readRecord(msg, at)
			if err != nil {
				if m.truncated { // it may be cut anywhere, and is asked for again
					return m, nil
				}
				return m, err
			}
			if at = next; r.kind != 0 {
				*section = append(*section, r)
			}
		}
	}
	return m, nil
}

// readRecord reads the record at a place; its kind is 0 if it is none of ours.
func readRecord(msg []byte, at int) (r record, next int, err error) {
	name, at, err := readName(msg, at)
	if err != nil || at+10 > len(msg) {
		return r, 0, errMessage
	}
	kind, class := binary.BigEndian.Uint16(msg[at:]), binary.BigEndian.Uint16(msg[at+2:])
	ttl := binary.BigEndian.Uint32(msg[at+4:])
	if ttl > 1<<31-1 { // RFC 2181 §8
		ttl = 0
	}
	data := at + 10
	next = data + int(binary.BigEndian.Uint16(msg[at+8:]))
	if next > len(msg) {
		return r, 0, errMessage
	}
	if class != classIN {
		return r, next, nil
	}
	r = record{name: name, kind: kind, ttl: ttl}
	switch size := next - data; {
	case kind == typeA && size == 4, kind == typeAAAA && size == 16:
		r.addr, _ = netip.AddrFromSlice(msg[data:next])
		r.addr = r.addr.Unmap()
	case kind == typeCNAME:
		r.target, _, err = readName(msg, data)
	case kind == typeSRV && size > 6:
		r.priority, r.weight = binary.BigEndian.Uint16(msg[data:]), binary.BigEndian.Uint16(msg[data+2:])
		r.port = binary.BigEndian.Uint16(msg[data+4:])
		r.target, _, err = readName(msg, data+6)
	case kind == typeSOA && size >= 20:
		r.minimum = binary.BigEndian.Uint32(msg[next-4:])
	case kind == typeA, kind == typeAAAA, kind == typeSRV, kind == typeSOA:
		err = errMessage
	default:
		r.kind = 0
	}
	return r, next, err
}

// readName reads the name at a place, in lower case and with a dot at its end.
// A pointer leads to before the part that it ends, so that a name ends too.
func readName(msg []byte, at int) (name string, next int, err error) {
	var b strings.Builder
	limit := at
	for {
		if at >= len(msg) {
			return "", 0, errMessage
		}
		size := int(msg[at])
		switch {
		case size == 0:
			if next == 0 {
				next = at + 1
			}
			if b.Len() == 0 {
				return ".", next, nil
			}
			return b.String(), next, nil
		case size >= 0xc0:
			if at+2 > len(msg) {
				return "", 0, errMessage
			}
			if next == 0 {
				next = at + 2
			}
			to := int(binary.BigEndian.Uint16(msg[at:]) & 0x3fff)
			if to >= limit {
				return "", 0, errMessage
			}
			at, limit = to, to
		case size > maxLabel || at+1+size > len(msg) || b.Len()+size+1 > maxName:
			return "", 0, errMessage
		default:
			for _, c := range msg[at+1 : at+1+size] {
				writeLower(&b, c)
			}
			b.WriteByte('.')
			at += 1 + size
		}
	}
}

// writeLower writes a character of a label: what would be taken for another
// label's or is not printable as \DDD (RFC 1035 §5.1), which checkName refuses.
func writeLower(b *strings.Builder, c byte) {
	switch {
	case c >= 'A' && c <= 'Z':
		b.WriteByte(c + 'a' - 'A')
	case c <= ' ' || c > '~' || c == '.' || c == '\\':
		fmt.Fprintf(b, `\%03d`, c)
	default:
		b.WriteByte(c)
	}
}

package harness

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

// A ledger is a file of lines, one a record, each written by one write(2)
// before hello goes on: what is written survives SIGKILL of its writer (not a
// crash of the machine, hence no fsync). Only a record that was being written
// at that moment may be torn; each line ends in a checksum, so that a torn one
// is never taken for a whole one.

// Kind is what a [Record] tells of.
type Kind byte

// The kinds of records.
const (
	Begun   Kind = 'B' // an attempt has arrived at a server
	Applied Kind = 'A' // its effect has been carried out
	Ended   Kind = 'E' // its answer has been handed to the protocol

	Replayed Kind = 'P' // its effect was there already, carried out with the same key
	Failed   Kind = 'F' // it was answered with an error
	Refused  Kind = 'R' // it was answered that there is no room for it, and nothing was done
	Unheard  Kind = 'U' // it was carried out, and its answer was lost on purpose
)

// over are the kinds of records after which the instance has done with an
// attempt.
func (k Kind) over() bool { return k == Ended || k == Failed || k == Refused || k == Unheard }

// Record is one line of the ledger.
type Record struct {
	Kind    Kind
	Route   Route
	ID      string // of the request: 1 to 64 characters of a-z A-Z 0-9 . _ -
	Attempt int    // as the client numbers it; 0: it does not tell
	Node    string // who wrote this
	At      time.Time
}

// Validate returns an error if the record cannot be written as a line.
func (r Record) Validate() error {
	switch {
	case r.Kind != Begun && r.Kind != Applied && r.Kind != Replayed && !r.Kind.over():
		return fmt.Errorf("kind %q: want B, A, P, E, F, R or U", r.Kind)
	case int(r.Route) >= len(AllRoutes):
		return fmt.Errorf("route %d: want 0 to %d", r.Route, len(AllRoutes)-1)
	case !word(r.ID):
		return fmt.Errorf("request id %q: want 1 to 64 characters of a-z A-Z 0-9 . _ -", r.ID)
	case !word(r.Node):
		return fmt.Errorf("node %q: want 1 to 64 characters of a-z A-Z 0-9 . _ -", r.Node)
	case r.Attempt < 0 || r.Attempt > maxAttempt:
		return fmt.Errorf("attempt %d: want 0 to %d", r.Attempt, maxAttempt)
	}
	return nil
}

const maxAttempt = 1_000_000

func word(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// AppendLine appends the record as a line, its newline included.
func (r Record) AppendLine(b []byte) []byte {
	start := len(b)
	b = fmt.Appendf(b, "%c %d %s %d %s %d", r.Kind, r.Route, r.ID, r.Attempt, r.Node, r.At.UnixNano())
	return fmt.Appendf(b, " %08x\n", crc32.ChecksumIEEE(b[start:]))
}

var errLine = errors.New("not a ledger line")

// parseLine reads what AppendLine wrote, its newline cut off.
func parseLine(line []byte) (Record, error) {
	var r Record
	cut := bytes.LastIndexByte(line, ' ')
	if cut < 0 {
		return r, errLine
	}
	body, sum := line[:cut], string(line[cut+1:])
	if sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return r, errLine
	}
	f := bytes.Split(body, []byte{' '})
	if len(f) != 6 || len(f[0]) != 1 {
		return r, errLine
	}
	route, err1 := strconv.ParseUint(string(f[1]), 10, 8)
	attempt, err2 := strconv.Atoi(string(f[3]))
	at, err3 := strconv.ParseInt(string(f[5]), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return r, errLine
	}
	r = Record{Kind(f[0][0]), Route(route), string(f[2]), attempt, string(f[4]), time.Unix(0, at)}
	if r.Validate() != nil || !bytes.Equal(r.AppendLine(nil), append(bytes.Clone(line), '\n')) {
		return Record{}, errLine
	}
	return r, nil
}

// ParseLedger reads a ledger. It returns the whole records in the order in
// which they were written and the number of lines that are not: those which
// a kill has torn.
func ParseLedger(r io.Reader) (records []Record, torn int, err error) {
	data, err := io.ReadAll(r)
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		data = rest
		if len(line) == 0 {
			continue
		}
		record, perr := parseLine(line)
		if !whole || perr != nil {
			torn++
			continue
		}
		records = append(records, record)
	}
	return records, torn, err
}

// Ledger writes records. It is safe for concurrent use.
type Ledger struct {
	mu   sync.Mutex
	file *os.File
	line []byte
}

// NewLedger continues the ledger in file, which must be open for reading and
// appending. A torn line at its end is closed first, so that it stays alone.
func NewLedger(file *os.File) (*Ledger, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if size := info.Size(); size > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], size-1); err != nil {
			return nil, err
		}
		if last[0] != '\n' {
			if _, err := file.WriteString("\n"); err != nil {
				return nil, err
			}
		}
	}
	return &Ledger{file: file}, nil
}

// Write writes r, stamped with the time, and returns when the operating system
// has it.
func (l *Ledger) Write(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.At = time.Now()
	if err := r.Validate(); err != nil {
		return err
	}
	l.line = r.AppendLine(l.line[:0])
	_, err := l.file.Write(l.line)
	return err
}

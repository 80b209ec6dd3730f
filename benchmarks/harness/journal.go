package harness

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"
)

// Journal is what the client under test says it did, an entry a line of JSON.
// Unlike the ledger it is the client's word; it is used for what only a client
// can know: which node it tried and when, why it tried again, when it ejected
// a node. A nil Journal swallows everything. It is safe for concurrent use.
type Journal struct {
	*journalFile
	client int // stamped on every entry
}

type journalFile struct {
	mu     sync.Mutex
	w      *bufio.Writer
	err    error
	notice func(Entry) // told of node changes as they happen
}

// NewJournal writes to w, buffered: see Flush. notice, if not nil, is called
// for each entry about a node.
func NewJournal(w io.Writer, notice func(Entry)) *Journal {
	return &Journal{journalFile: &journalFile{w: bufio.NewWriterSize(w, 1<<16), notice: notice}}
}

// As returns the journal of one of several clients, in the same file.
func (j *Journal) As(client int) *Journal { return &Journal{j.journalFile, client} }

// EntryKind is what an [Entry] tells of.
type EntryKind string

// The kinds of entries.
const (
	TriedNode  EntryKind = "attempt"    // an attempt has ended
	Retried    EntryKind = "retry"      // another attempt follows
	Ejected    EntryKind = "ejected"    // the client has taken the node out
	Readmitted EntryKind = "readmitted" // the client has taken it back
)

// Entry is one line of the journal. Fields that do not apply are zero.
type Entry struct {
	Kind    EntryKind `json:"kind"`
	Route   Route     `json:"route"`
	ID      string    `json:"id,omitempty"`      // of the request
	Attempt int       `json:"attempt,omitempty"` // 1 for the first
	Node    string    `json:"node,omitempty"`    // its ID
	Start   time.Time `json:"start,omitzero"`
	End     time.Time `json:"end,omitzero"`  // when it ended, or happened
	Born    time.Time `json:"born,omitzero"` // when the dial of the attempt's connection began, if the client can tell
	NotSent bool      `json:"notSent,omitempty"`
	Detail  string    `json:"detail,omitempty"` // the error, or the reason
	Client  int       `json:"client,omitempty"` // which of several, from 0
}

// Add writes an entry.
func (j *Journal) Add(e Entry) {
	if j == nil {
		return
	}
	e.Client = j.client
	line, err := json.Marshal(e)
	j.mu.Lock()
	j.err = errors.Join(j.err, err)
	if err == nil && j.err == nil {
		_, j.err = j.w.Write(append(line, '\n'))
	}
	j.mu.Unlock()
	if j.notice != nil && (e.Kind == Ejected || e.Kind == Readmitted) {
		j.notice(e)
	}
}

// Flush writes out what is buffered, and returns the first error there was.
func (j *Journal) Flush() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.err, j.w.Flush())
}

// ParseJournal reads a journal. Lines that are no entries are left out and
// counted.
func ParseJournal(r io.Reader) (entries []Entry, bad int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Kind == "" || int(e.Route) >= len(AllRoutes) {
			bad++
			continue
		}
		entries = append(entries, e)
	}
	return entries, bad, lines.Err()
}

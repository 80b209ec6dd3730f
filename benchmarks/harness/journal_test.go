package harness

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestJournalRoundTrip(t *testing.T) {
	at := time.Unix(1_700_000_000, 42)
	entries := []Entry{
		{Kind: TriedNode, Route: Post, ID: "p1", Attempt: 2, Node: "hello-2", Start: at, End: at.Add(1), Born: at.Add(-1), Detail: "EOF\n\"x\""},
		{Kind: Retried, ID: "g1", Attempt: 2, End: at, NotSent: true},
		{Kind: Ejected, Node: "hello-2", End: at},
	}
	var out bytes.Buffer
	var noticed []Entry
	j := NewJournal(&out, func(e Entry) { noticed = append(noticed, e) })
	for _, e := range entries {
		j.Add(e)
	}
	if err := j.Flush(); err != nil {
		t.Fatal(err)
	}
	out.WriteString(`{"kind":"attempt","route":9}` + "\n{\"kind\":\"att") // a foreign line and a torn one
	got, bad, err := ParseJournal(&out)
	if err != nil || bad != 2 {
		t.Fatalf("%d bad lines, %v; want 2", bad, err)
	}
	for i := range got {
		if !got[i].Start.Equal(entries[i].Start) || !got[i].End.Equal(entries[i].End) || !got[i].Born.Equal(entries[i].Born) {
			t.Errorf("entry %d: times %v, want those of %v", i, got[i], entries[i])
		}
		got[i].Start, got[i].End, got[i].Born = entries[i].Start, entries[i].End, entries[i].Born
	}
	if !reflect.DeepEqual(got, entries) {
		t.Errorf("got %v, want %v", got, entries)
	}
	if len(noticed) != 1 || noticed[0].Kind != Ejected {
		t.Errorf("noticed %v, want the ejection", noticed)
	}
}

func TestJournalKeepsItsFirstError(t *testing.T) {
	j := NewJournal(brokenWriter{}, nil)
	j.Add(Entry{Kind: Ejected})
	if err := j.Flush(); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
	var none *Journal
	none.Add(Entry{})
	if err := none.Flush(); err != nil {
		t.Error(err)
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(`{"kind":"attempt","route":1,"id":"p1"}` + "\n"))
	f.Add([]byte("{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _, _ := ParseJournal(bytes.NewReader(data))
		for _, e := range entries {
			if e.Kind == "" || e.Route > Post {
				t.Fatalf("accepted %+v", e)
			}
		}
	})
}

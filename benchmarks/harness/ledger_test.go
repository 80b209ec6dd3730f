package harness

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func someRecords() []Record {
	at := time.Unix(0, 1_700_000_000_123_456_789)
	return []Record{
		{Begun, Post, "p000001", 1, "hello-1", at},
		{Applied, Post, "p000001", 1, "hello-1", at.Add(5 * time.Millisecond)},
		{Ended, Post, "p000001", 1, "hello-1", at.Add(10 * time.Millisecond)},
		{Begun, Get, "g.A_z-9", 0, "hello-2", at.Add(time.Second)},
	}
}

func lines(records []Record) []byte {
	var b []byte
	for _, r := range records {
		b = r.AppendLine(b)
	}
	return b
}

// A kill may cut the last line anywhere: what is whole is read, what is torn
// is never taken for whole.
func TestLedgerCutAnywhere(t *testing.T) {
	records := someRecords()
	data := lines(records)
	for cut := range len(data) + 1 {
		got, torn, err := ParseLedger(bytes.NewReader(data[:cut]))
		if err != nil {
			t.Fatal(err)
		}
		whole := bytes.Count(data[:cut], []byte{'\n'})
		if !reflect.DeepEqual(got, append([]Record(nil), records[:whole]...)) {
			t.Fatalf("cut at %d: got %v, want %v", cut, got, records[:whole])
		}
		wantTorn := 0
		if cut > 0 && data[cut-1] != '\n' {
			wantTorn = 1
		}
		if torn != wantTorn {
			t.Fatalf("cut at %d: %d torn lines, want %d", cut, torn, wantTorn)
		}
	}
}

// Whoever is started in place of a killed writer goes on behind its torn line.
func TestLedgerGoesOnBehindATornLine(t *testing.T) {
	records := someRecords()
	for cut := range len(lines(records)) + 1 {
		path := filepath.Join(t.TempDir(), "ledger")
		before := lines(records)[:cut]
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // read below
		ledger, err := NewLedger(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := ledger.Write(Record{Kind: Begun, ID: "later", Node: "hello-1"}); err != nil {
			t.Fatal(err)
		}
		got, _, err := ParseLedger(readAll(f))
		if err != nil {
			t.Fatal(err)
		}
		whole := bytes.Count(before, []byte{'\n'})
		// A line that lacked nothing but its newline gets it, and is whole.
		if cut > 0 && cut < len(lines(records)) && lines(records)[cut] == '\n' {
			whole++
		}
		if len(got) != whole+1 || got[whole].ID != "later" {
			t.Fatalf("cut at %d: got %v, want %d records and the later one", cut, got, whole)
		}
	}
}

func TestLedgerRefusesWhatItCannotHold(t *testing.T) {
	good := Record{Begun, Get, "id", 1, "node", time.Unix(1, 0)}
	for name, change := range map[string]func(*Record){
		"kind":     func(r *Record) { r.Kind = 'x' },
		"route":    func(r *Record) { r.Route = Route(len(AllRoutes)) },
		"empty id": func(r *Record) { r.ID = "" },
		"newline":  func(r *Record) { r.ID = "a\nb" },
		"space":    func(r *Record) { r.Node = "a b" },
		"long id":  func(r *Record) { r.ID = strings.Repeat("x", 65) },
		"attempt":  func(r *Record) { r.Attempt = -1 },
	} {
		r := good
		change(&r)
		if r.Validate() == nil {
			t.Errorf("%s: %+v is accepted", name, r)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzParseLedger(f *testing.F) {
	data := lines(someRecords())
	f.Add(data)
	f.Add(data[:len(data)-7])
	f.Add(slices.Concat(data[:20], data))
	f.Add([]byte("\n\n \nB 0 x 1 y 5 00000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, torn, err := ParseLedger(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if full := bytes.Count(data, []byte{'\n'}) + 1; len(records)+torn > full {
			t.Fatalf("%d records and %d torn lines of %d", len(records), torn, full)
		}
		again, torn, err := ParseLedger(bytes.NewReader(lines(records)))
		if err != nil || torn != 0 || !reflect.DeepEqual(again, records) {
			t.Fatalf("written and read again: %v, %d torn, %v; want %v", again, torn, err, records)
		}
	})
}

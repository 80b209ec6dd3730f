package selector

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// fileRig is a watched file in virtual time, and what was reported of it.
type fileRig struct {
	t       *testing.T
	path    string
	clk     *clock.Virtual
	source  *FileSource
	reports []string // the IDs of a set, or "!" and the error
}

const twoNodes = `[{"id": "a"}, {"id": "b", "addr": "b:1", "weight": 2, "zone": "z", "meta": {"rack": "12"}}]`

func newFileRig(t *testing.T, content string) *fileRig {
	t.Helper()
	r := &fileRig{t: t, path: filepath.Join(t.TempDir(), "nodes.json"), clk: clock.NewVirtual(1)}
	r.write(content)
	r.source = &FileSource{Path: r.path, Clock: r.clk}
	if err := r.source.Watch(r.hear); err != nil {
		t.Fatalf("Watch: %v", err)
	}
	t.Cleanup(func() { _ = r.source.Close() })
	return r
}

func (r *fileRig) hear(nodes []Node, err error) {
	if err != nil {
		r.reports = append(r.reports, "!"+err.Error())
		return
	}
	var ids []string
	for _, n := range nodes {
		ids = append(ids, n.ID)
	}
	r.reports = append(r.reports, strings.Join(ids, " "))
}

func (r *fileRig) write(content string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// replace is how editors and config maps change a file.
func (r *fileRig) replace(content string) {
	r.t.Helper()
	next := r.path + ".next"
	if err := errors.Join(os.WriteFile(next, []byte(content), 0o600), os.Rename(next, r.path)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *fileRig) pass(d time.Duration) { r.clk.RunUntil(r.clk.Now().Add(d)) }

// want looks at what was reported since it was last called; an error may be
// given by its beginning and a part of it.
func (r *fileRig) want(step string, want ...string) {
	r.t.Helper()
	ok := len(r.reports) == len(want)
	for i := 0; ok && i < len(want); i++ {
		got, part := r.reports[i], want[i]
		ok = got == part || strings.HasPrefix(part, "!") && strings.HasPrefix(got, "!") && strings.Contains(got, part[1:])
	}
	if !ok {
		r.t.Errorf("%s: got reports %q, want %q", step, r.reports, want)
	}
	r.reports = nil
}

func TestFileIsWatched(t *testing.T) {
	r := newFileRig(t, twoNodes)
	r.want("before Watch returns", "a b")
	r.pass(10 * time.Second)
	r.want("nothing has changed")

	r.replace(`[{"id": "a"}, {"id": "c"}]`)
	r.pass(time.Second)
	r.want("a rename", "a c")

	r.write(`[{"id": "a"}, {"id": "d"}]`)
	r.pass(time.Second)
	r.want("an edit in place", "a d")

	info, err := os.Stat(r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.write(`[{"id": "a"}, {"id": "e"}]`)
	if err := os.Chtimes(r.path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Second)
	r.want("an edit of the same size within a tick of the file system's clock", "a e")

	r.replace(`[{"id": "a"}, {"id": "e"}]`)
	r.pass(10 * time.Second)
	r.want("the same content in another file")
}

func TestFileKeepsTheLastGoodSet(t *testing.T) {
	r := newFileRig(t, twoNodes)
	r.want("start", "a b")
	steps := []struct {
		name  string
		write string
		want  string
	}{
		{"half-written", twoNodes[:40], "!line 1: not JSON: unexpected end"},
		{"empty", "", "!the file is empty"},
		{"blank", " \n\t\n", ""}, // the same problem
		{"an empty set", "[]", "!nodes: the set is empty"},
		{"broken", "\n[{]", "!line 2: not JSON: invalid character ']'"},
		{"still broken, elsewise", "\n\n[{]", "!line 3: not JSON: invalid character ']'"},
		{"still broken, in the same way", "\n\n[{] ", ""},
		{"good again", twoNodes, "a b"},
		{"broken as before", "\n\n[{]", "!line 3"},
		{"good and other", `[{"id": "c"}]`, "c"},
	}
	for _, step := range steps {
		r.write(step.write)
		r.pass(30 * time.Second) // looked at 30 times, reported once
		if step.want == "" {
			r.want(step.name)
			continue
		}
		r.want(step.name, step.want)
	}

	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.pass(30 * time.Second)
	r.want("missing", "!no such file")
	r.write("[")
	r.pass(30 * time.Second)
	r.want("broken", "!not JSON")
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.pass(30 * time.Second)
	r.want("missing again", "!no such file")
	r.write("[")
	r.pass(30 * time.Second)
	r.want("broken as before it was missing", "!not JSON")
	if err := errors.Join(os.Remove(r.path), os.Mkdir(r.path, 0o700)); err != nil {
		t.Fatal(err)
	}
	r.pass(30 * time.Second)
	r.want("a folder", "!want a regular file, got d")
}

func TestFileErrorsNameTheFile(t *testing.T) {
	r := newFileRig(t, twoNodes)
	r.reports = nil
	r.write(`[{"id": 1}]`)
	r.pass(time.Second)
	r.want("wrong type", "!"+r.path+": line 1: nodes[0].id: want a string, got 1")
	var syntax error
	err := (&FileSource{Path: r.path}).Watch(func(_ []Node, err error) { syntax = err })
	if err == nil || syntax != nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, and reported %v, want one line from Watch and no report", err, syntax)
	}
}

func TestFileFailsFastAtTheStart(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte(`[{"id": "a"},`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		source Source
		want   []string
		is     error
	}{
		{"missing", File(filepath.Join(dir, "none.json")), []string{"source: ", "none.json", "no such file"}, fs.ErrNotExist},
		{"broken", File(broken), []string{"broken.json: line 1: not JSON: unexpected end"}, nil},
		{"a folder", File(dir), []string{"want a regular file"}, nil},
		{"a device", File(os.DevNull), []string{"want a regular file"}, nil},
		{"no path", File(""), []string{"path: want the name of a file"}, nil},
		{"no path and no patience", &FileSource{Interval: time.Millisecond}, []string{"path: want", "interval 1ms: want at least 10ms (0: default 1s)"}, nil},
		{"negative interval", &FileSource{Path: broken, Interval: -1}, []string{"interval -1ns: want at least 10ms"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(Config{Source: tt.source})
			if err == nil {
				t.Fatal("got nil, want an error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want it to match %v", err, tt.is)
			}
		})
	}
}

func TestFileServesOneSelector(t *testing.T) {
	r := newFileRig(t, twoNodes)
	if err := r.source.Watch(r.hear); err == nil || !strings.Contains(err.Error(), "watched already") {
		t.Errorf("a second Watch: got %v, want an error that says so", err)
	}
	if err := errors.Join(r.source.Close(), r.source.Close()); err != nil {
		t.Fatal(err)
	}
	r.reports = nil
	r.write(`[{"id": "c"}]`)
	r.pass(time.Minute)
	r.want("after Close")
	unused := &FileSource{Path: r.path}
	if err := unused.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unused.Watch(r.hear); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Watch after Close: got %v, want an error that says so", err)
	}
}

// With the real clock: what is started ends, and a listener may close.
func TestFileWatchEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.json")
	if err := os.WriteFile(path, []byte(twoNodes), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var s *Selector
		var events []Event
		s, err := New(Config{Source: File(path), OnEvent: func(e Event) {
			events = append(events, e)
			if e.Kind == SourceFailed {
				_ = s.Close()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(s.Nodes()); n != 2 {
			t.Fatalf("%d nodes, want 2 as soon as New returns", n)
		}
		if err := os.WriteFile(path, []byte("["), 0o600); err != nil {
			t.Fatal(err)
		}
		wait(time.Minute)
		if len(events) != 2 || events[1].Kind != SourceFailed {
			t.Errorf("got events %+v, want the first set and one failure", events)
		}
		if _, err := s.Pick(Call{}); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed: the listener has closed the selector", err)
		}
	}) // the bubble fails if a goroutine is left that nothing will wake
}

// wait lets time pass in a bubble.
func wait(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // synctest bubble
	synctest.Wait()
}

func TestFileTakesTheSelectorsClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.json")
	if err := os.WriteFile(path, []byte(twoNodes), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Config{Source: File(path)})
	if err := os.WriteFile(path, []byte(`[{"id": "c"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Second)
	if nodes := r.sel.Nodes(); len(nodes) != 1 || nodes[0].Node.ID != "c" {
		t.Errorf("got %+v, want the node c within a second of the selector's time", nodes)
	}
}

package filewatch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// What a source of nodes shows of a watch is tested in selector.

// rig is a file, watched in virtual time. A content that begins with "bad" is
// wrong.
type rig struct {
	t     *testing.T
	clk   *clock.Virtual
	file  *File[string]
	heard []string
}

func newRig(t *testing.T, settled bool) *rig {
	t.Helper()
	r := &rig{t: t, clk: clock.NewVirtual(1)}
	r.file = &File[string]{
		Path: filepath.Join(t.TempDir(), "file"), Clock: r.clk, Settled: settled,
		Parse: func(data []byte) (string, error) {
			if strings.HasPrefix(string(data), "bad") {
				return "", errors.New(string(data))
			}
			return string(data), nil
		},
	}
	r.write("first")
	if err := r.file.Watch(r.hear); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.file.Close() })
	return r
}

func (r *rig) hear(content string, err error) {
	if err != nil {
		content = "!" + err.Error()
	}
	r.heard = append(r.heard, content)
}

func (r *rig) write(content string) {
	r.t.Helper()
	if err := os.WriteFile(r.file.Path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// look lets one interval pass, and compares what was heard since the last.
func (r *rig) look(want ...string) {
	r.t.Helper()
	r.clk.RunUntil(r.clk.Now().Add(interval))
	if got := strings.Join(r.heard, "|"); got != strings.Join(want, "|") {
		r.t.Errorf("heard %q, want %q", got, strings.Join(want, "|"))
	}
	r.heard = nil
}

// A half-written file is not taken for the whole: a change is believed when
// the next look finds the same.
func TestSettled(t *testing.T) {
	r := newRig(t, true)
	r.look("first")
	r.write("sec")
	r.look()
	r.write("second")
	r.look()
	r.look("second")
	r.look()
	r.write("bad")
	r.look()
	r.look("!bad")
	r.look()
	r.write("second") // back to what is in force: no news of the content, but the problem is over
	r.look()
	r.look("second")
	r.write("third")
	r.look()
	r.write("second") // as if nothing had been
	r.look()
	r.look()
}

// Without Settled a change is told at the first look.
func TestUnsettled(t *testing.T) {
	r := newRig(t, false)
	r.look("first")
	r.write("second")
	r.look("second")
	r.write("bad")
	r.look("!bad")
	r.look()
}

// A timer that fired as Close was called looks at nothing.
func TestLateTimer(t *testing.T) {
	r := newRig(t, false)
	r.look("first")
	if err := r.file.Close(); err != nil {
		t.Fatal(err)
	}
	r.write("second")
	r.file.poll()
	r.look()
}

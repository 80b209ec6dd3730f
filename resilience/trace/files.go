package trace

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// files writes lines to a file, begins another when it is large, and removes
// the oldest.
type files struct {
	dir    string
	size   int64
	keep   int
	client string
	clk    clock.Clock

	file *os.File // nil: it could not be written or made; flush tries again
	out  *bufio.Writer
	n    int64 // bytes in it
	line []byte
}

// errNoFile is what lines get while there is no file.
var errNoFile = errors.New("trace: no file to write to")

// The names sort as the files were made.
const (
	pattern  = "trace-*.ndjson"
	nameTime = "trace-20060102T150405.000000000.ndjson"
)

// open begins a file.
func (f *files) open() error {
	for {
		name := filepath.Join(f.dir, f.clk.Now().UTC().Format(nameTime))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if errors.Is(err, os.ErrExist) {
			continue // in the same nanosecond
		}
		if err != nil {
			return err
		}
		f.file, f.out, f.n = file, bufio.NewWriterSize(file, 64<<10), 0
		f.line = header(f.line[:0], f.client)
		return errors.Join(f.write(), f.prune())
	}
}

// prune removes the oldest files.
func (f *files) prune() error {
	list, err := os.ReadDir(f.dir) // by name
	list = slices.DeleteFunc(list, func(e os.DirEntry) bool {
		ours, _ := filepath.Match(pattern, e.Name())
		return !ours
	})
	for ; len(list) > f.keep; list = list[1:] {
		err = errors.Join(err, os.Remove(filepath.Join(f.dir, list[0].Name())))
	}
	return err
}

// record writes the line of an attempt.
func (f *files) record(x *entry) error {
	f.line = appendRecord(f.line[:0], x)
	return f.write()
}

// lost writes how many attempts were lost.
func (f *files) lost(n uint64) error {
	f.line = appendLost(f.line[:0], n)
	return f.write()
}

func (f *files) write() error {
	if f.file == nil {
		return errNoFile
	}
	if _, err := f.out.Write(f.line); err != nil {
		return errors.Join(err, f.drop())
	}
	if f.n += int64(len(f.line)); f.n >= f.size {
		return errors.Join(f.close(), f.open())
	}
	return nil
}

// drop gives a file up.
func (f *files) drop() error {
	err := f.file.Close()
	f.file = nil
	return err
}

// flush writes what is buffered, or tries to begin a file if there is none.
func (f *files) flush() error {
	if f.file == nil {
		return f.open()
	}
	if err := f.out.Flush(); err != nil {
		return errors.Join(err, f.drop())
	}
	return nil
}

func (f *files) close() error {
	if f.file == nil {
		return nil
	}
	return errors.Join(f.out.Flush(), f.drop())
}

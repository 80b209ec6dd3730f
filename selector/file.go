package selector

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// File is a set that is read from a file, which is watched: a [FileSource]
// with the defaults.
func File(path string) Source { return &FileSource{Path: path} }

// FileSource is a set that is read from a JSON file, and read again when it
// changes:
//
//	[
//	  {"id": "a", "addr": "10.0.0.7:8080"},
//	  {"id": "b", "addr": "10.0.0.8:8080", "weight": 2, "zone": "north", "meta": {"rack": "12"}}
//	]
//
// The fields are those of [Node]; each node needs an id or an addr. The file
// is taken as a whole or not at all: an unknown or repeated field, a value of
// another type, a duplicate node or anything but JSON is an error that names
// the line and the field.
//
// At the start the file must be there and right, or Watch, and with it [New],
// fails. Later a file that is missing, empty, half-written or wrong leaves the
// last good set in use and is reported once, not every Interval. Changes are
// found by comparing the content, so that a rename over the file, an edit in
// place and an edit within one tick of the file system's clock are all seen.
//
// The fields are read by Watch and must not be changed after it.
type FileSource struct {
	Path     string        // required
	Interval time.Duration // between two looks at the file; at least 10 ms, default 1 s
	Clock    clock.Clock   // nil: the Selector's

	mu      sync.Mutex // everything below; report is called without it
	report  func([]Node, error)
	stop    func() bool // ends the timer of the next look
	closed  bool
	seed    maphash.Seed
	known   bool   // sum is that of …
	sum     uint64 // … the content that was read last
	problem string // what was reported last; empty after a good read
}

var _ Source = (*FileSource)(nil)

const (
	fileInterval    = time.Second
	minFileInterval = 10 * time.Millisecond
	maxFileSize     = 64 << 20
)

// Watch implements [Source]. It fails when a field is out of range, when the
// file cannot be read or is wrong, and when it was called before.
func (f *FileSource) Watch(report func([]Node, error)) error {
	var errs []error
	if f.Path == "" {
		errs = append(errs, errors.New("path: want the name of a file"))
	}
	if f.Interval != 0 && f.Interval < minFileInterval {
		errs = append(errs, fmt.Errorf("interval %v: want at least %v (0: default %v)", f.Interval, minFileInterval, fileInterval))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	nodes, err := f.start(report)
	if err != nil {
		return err
	}
	report(nodes, nil)
	f.rest()
	return nil
}

func (f *FileSource) start(report func([]Node, error)) ([]Node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, fmt.Errorf("%s: the file source is closed", f.Path)
	case f.report != nil:
		return nil, fmt.Errorf("%s: the file source is watched already; each selector needs its own", f.Path)
	}
	f.seed = maphash.MakeSeed()
	nodes, _, err := f.look()
	if err != nil {
		return nil, err
	}
	f.report = report
	return nodes, nil
}

// Close implements [Source]: it waits for a look at the file that is under
// way, but not for a report, since it may be called from there.
func (f *FileSource) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.stop != nil {
		f.stop()
	}
	return nil
}

// rest sets the time of the next look.
func (f *FileSource) rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	clk, d := f.Clock, f.Interval
	if clk == nil {
		clk = clock.System
	}
	if d == 0 {
		d = fileInterval
	}
	f.stop = clk.AfterFunc(d, f.poll)
}

// defaultClock is called by the selector before Watch.
func (f *FileSource) defaultClock(c clock.Clock) {
	if f.Clock == nil {
		f.Clock = c
	}
}

func (f *FileSource) poll() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	nodes, news, err := f.look()
	f.mu.Unlock()
	if news {
		f.report(nodes, err)
	}
	f.rest()
}

// look reads the file and says whether that brought news: other content, or
// another problem. Caller holds mu.
func (f *FileSource) look() (nodes []Node, news bool, err error) {
	data, err := readFile(f.Path)
	if err == nil {
		sum := maphash.Bytes(f.seed, data)
		if f.known && sum == f.sum {
			return nil, false, nil
		}
		f.sum = sum
		if nodes, err = parseNodes(data); err != nil {
			err = fmt.Errorf("%s: %w", f.Path, err)
		}
		f.known = true
	} else {
		f.known = false
	}
	if err == nil {
		f.problem = ""
		return nodes, true, nil
	}
	news = err.Error() != f.problem
	f.problem = err.Error()
	return nil, news, err
}

// readFile is os.ReadFile, except that it neither waits for a pipe nor takes
// in whatever there is.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: want a regular file, got %v", path, info.Mode().Type())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s: want at most %d MiB", path, maxFileSize>>20)
	}
	return data, nil
}

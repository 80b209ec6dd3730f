// Package filewatch reads a file, and reads it again when it changes.
package filewatch

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

// File is a file that holds a T. Changes are found by comparing the content,
// so that a rename over the file, an edit in place and an edit within one tick
// of the file system's clock are all seen. It must not be changed after Watch.
type File[T any] struct {
	Path     string
	Interval time.Duration                // between two looks; at least 10 ms, 0: 1 s
	Clock    clock.Clock                  // nil: the real one
	Parse    func(data []byte) (T, error) // names the file in its errors
	Taken    string                       // what to say of a second Watch

	// Settled believes a change only when two looks in a row find it: for
	// formats of which a half-written file may be a whole one.
	Settled bool

	mu      sync.Mutex // everything below; report is called without it
	report  func(T, error)
	stop    func() bool // ends the timer of the next look
	closed  bool
	seed    maphash.Seed
	known   bool   // sum is that of …
	sum     uint64 // … the content that was read last
	next    uint64 // the sum of a change that the last look found
	problem string // what was reported last; empty after a good read
}

const (
	interval    = time.Second
	minInterval = 10 * time.Millisecond
	maxSize     = 64 << 20
)

// Watch reads the file, calls report with what it holds, and again when that
// changes; a file that is missing or wrong then is reported once, not every
// Interval. report is not called concurrently. Watch fails when a field is out
// of range, when the file cannot be read or is wrong, and when it was called
// before.
func (f *File[T]) Watch(report func(T, error)) error {
	var errs []error
	if f.Path == "" {
		errs = append(errs, errors.New("path: want the name of a file"))
	}
	if f.Interval != 0 && f.Interval < minInterval {
		errs = append(errs, fmt.Errorf("interval %v: want at least %v (0: default %v)", f.Interval, minInterval, interval))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	value, err := f.start(report)
	if err != nil {
		return err
	}
	report(value, nil)
	f.rest()
	return nil
}

func (f *File[T]) start(report func(T, error)) (value T, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return value, fmt.Errorf("%s: the file source is closed", f.Path)
	case f.report != nil:
		return value, fmt.Errorf("%s: the file source is watched already; %s", f.Path, f.Taken)
	}
	f.seed = maphash.MakeSeed()
	if value, _, err = f.look(false); err != nil {
		return value, err
	}
	f.report = report
	return value, nil
}

// Close ends the watch. It waits for a look at the file that is under way, but
// not for a report, since it may be called from there.
func (f *File[T]) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.stop != nil {
		f.stop()
	}
	return nil
}

// rest sets the time of the next look.
func (f *File[T]) rest() {
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
		d = interval
	}
	f.stop = clk.AfterFunc(d, f.poll)
}

func (f *File[T]) poll() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	value, news, err := f.look(f.Settled)
	f.mu.Unlock()
	if news {
		f.report(value, err)
	}
	f.rest()
}

// look reads the file and says whether that brought news: other content, or
// another problem. With twice, other content is none until it is found again.
// Caller holds mu.
func (f *File[T]) look(twice bool) (value T, news bool, err error) {
	data, err := Read(f.Path)
	if err == nil {
		sum := maphash.Bytes(f.seed, data)
		if f.known && sum == f.sum {
			f.next = sum
			return value, false, nil
		}
		if twice && sum != f.next {
			f.next = sum
			return value, false, nil
		}
		f.sum, f.next = sum, sum
		value, err = f.Parse(data)
		f.known = true
	} else {
		f.known = false
	}
	if err == nil {
		f.problem = ""
		return value, true, nil
	}
	news = err.Error() != f.problem
	f.problem = err.Error()
	return value, news, err
}

// Read is os.ReadFile, except that it neither waits for a pipe nor takes in
// whatever there is.
func Read(path string) ([]byte, error) {
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
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("%s: want at most %d MiB", path, maxSize>>20)
	}
	return data, nil
}

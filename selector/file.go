package selector

import (
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/internal/filewatch"
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

	once sync.Once // for file
	file filewatch.File[[]Node]
}

var _ Source = (*FileSource)(nil)

// Watch implements [Source]. It fails when a field is out of range, when the
// file cannot be read or is wrong, and when it was called before.
func (f *FileSource) Watch(report func([]Node, error)) error { return f.watched().Watch(report) }

// Close implements [Source]: it waits for a look at the file that is under
// way, but not for a report, since it may be called from there.
func (f *FileSource) Close() error { return f.watched().Close() }

func (f *FileSource) watched() *filewatch.File[[]Node] {
	f.once.Do(func() {
		f.file.Path, f.file.Interval, f.file.Clock = f.Path, f.Interval, f.Clock
		f.file.Taken = "each selector needs its own"
		f.file.Parse = func(data []byte) ([]Node, error) {
			nodes, err := parseNodes(data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
			return nodes, nil
		}
	})
	return &f.file
}

// defaultClock is called by the selector before Watch.
func (f *FileSource) defaultClock(c clock.Clock) {
	if f.Clock == nil {
		f.Clock = c
	}
}

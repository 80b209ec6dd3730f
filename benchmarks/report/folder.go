package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// The files of a folder of results.
const (
	SummaryFile    = "summary.json"    // a [Summary]
	EventsFile     = "events.ndjson"   // a line of JSON each: [Event]
	CoursesFile    = "courses.ndjson"  // a line of JSON a run: [Course]
	HistogramsFile = "histograms.hlog" // HdrHistogram's log format, latencies in microseconds: see Tag
	warm, window   = "warm", "window"
)

// dataFiles are those that grow with each run.
var dataFiles = []string{EventsFile, CoursesFile, HistogramsFile}

// Tag marks a run's histograms in [HistogramsFile]: the phase is "warm" for
// the warm-up without its first third, or "window" for the fault phase and 2 s
// after it.
func Tag(scenario, stack string, seed uint64, phase string) string {
	return fmt.Sprintf("%s/%s/%d/%s", scenario, stack, seed, phase)
}

// Event is something that was done to an instance, or that a client did to one.
type Event struct {
	Scenario string  `json:"scenario"`
	Stack    string  `json:"stack"`
	Seed     uint64  `json:"seed"`
	AtMs     float64 `json:"atMs"`           // from the beginning of the load
	Kind     string  `json:"kind"`           // "step", "ejected", "readmitted"
	Node     string  `json:"node,omitempty"` // of the last two
	Client   string  `json:"client,omitempty"`
	Detail   string  `json:"detail,omitempty"`
}

// Course is a run in slices of time.
type Course struct {
	Scenario string `json:"scenario"`
	Stack    string `json:"stack"`
	Seed     uint64 `json:"seed"`
	harness.Course
}

// Folder is a folder of results that is being written. It is not safe for
// concurrent use.
type Folder struct {
	dir        string
	files      []*os.File
	events     *json.Encoder
	courses    *json.Encoder
	histograms *hdrhistogram.HistogramLogWriter
	flush      []*bufio.Writer
}

// NewFolder makes the folder, which must not hold results yet.
func NewFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := openFolder(dir, os.O_EXCL)
	if err != nil {
		return nil, err
	}
	return f, errors.Join(
		f.histograms.OutputComment("[holdfast bench: latencies in microseconds, from when a request was due; tags are scenario/stack/seed/phase]"),
		f.histograms.OutputLogFormatVersion(), f.histograms.OutputLegend(),
	)
}

func openFolder(dir string, flag int) (*Folder, error) {
	f := &Folder{dir: dir}
	var writers []*bufio.Writer
	for _, name := range dataFiles {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND|flag, 0o644)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.files = append(f.files, file)
		writers = append(writers, bufio.NewWriter(file))
	}
	f.flush = writers
	f.events, f.courses = json.NewEncoder(writers[0]), json.NewEncoder(writers[1])
	f.histograms = hdrhistogram.NewHistogramLogWriter(writers[2])
	return f, nil
}

// Add writes what belongs to a run, and not to the summary. It is in the files
// when it returns.
func (f *Folder) Add(scenario string, r *harness.Run) error {
	var errs []error
	for _, e := range events(scenario, r) {
		errs = append(errs, f.events.Encode(e))
	}
	errs = append(errs, f.courses.Encode(Course{scenario, r.Stack, r.Plan.Seed, r.Course()}))
	from, to := r.Window()
	for _, p := range []struct {
		name     string
		from, to int64
		h        *hdrhistogram.Histogram
	}{
		{warm, (r.Plan.Warm / 3).Milliseconds(), r.Plan.Warm.Milliseconds(), r.Latencies(r.Plan.Warm/3, r.Plan.Warm)},
		{window, from.Milliseconds(), to.Milliseconds(), r.Latencies(from, to)},
	} {
		p.h.SetTag(Tag(scenario, r.Stack, r.Plan.Seed, p.name))
		start := r.Start.UnixMilli()
		p.h.SetStartTimeMs(start + p.from)
		p.h.SetEndTimeMs(start + p.to)
		errs = append(errs, f.histograms.OutputIntervalHistogram(p.h))
	}
	for _, w := range f.flush {
		errs = append(errs, w.Flush())
	}
	return errors.Join(errs...)
}

func events(scenario string, r *harness.Run) (list []Event) {
	base := Event{Scenario: scenario, Stack: r.Stack, Seed: r.Plan.Seed}
	for _, d := range r.Steps {
		e := base
		e.AtMs, e.Kind, e.Detail = millis(d.Begin), "step", d.String()
		list = append(list, e)
	}
	for process, entries := range r.Entries {
		for _, entry := range entries {
			if entry.Kind != harness.Ejected && entry.Kind != harness.Readmitted {
				continue
			}
			e := base
			e.AtMs, e.Kind, e.Node, e.Detail = millis(r.At(entry.End)), string(entry.Kind), entry.Node, entry.Detail
			e.Client = fmt.Sprintf("client-%d", process+1)
			if r.Plan.Clients > 1 {
				e.Client = fmt.Sprintf("%s.%d", e.Client, entry.Client+1)
			}
			list = append(list, e)
		}
	}
	return list
}

// Save writes the summary, whole or not at all.
func (f *Folder) Save(s *Summary) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return replace(filepath.Join(f.dir, SummaryFile), append(data, '\n'))
}

// Close writes the summary and closes the folder.
func (f *Folder) Close(s *Summary) error { return errors.Join(f.Save(s), f.close()) }

func (f *Folder) close() error {
	var errs []error
	for _, w := range f.flush {
		errs = append(errs, w.Flush())
	}
	for _, file := range f.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

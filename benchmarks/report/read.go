package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Results is a folder of results that was read.
type Results struct {
	Summary    *Summary
	Events     []Event
	Courses    []Course
	Histograms map[string]*hdrhistogram.Histogram // by [Tag]
}

// Read reads a folder that `holdfast bench run -out` has written. Only the
// summary must be there: a chart whose file is missing is left out.
func Read(dir string) (*Results, error) {
	r := &Results{Histograms: map[string]*hdrhistogram.Histogram{}}
	var err error
	if r.Summary, err = ReadSummary(dir); err != nil {
		return nil, err
	}
	if r.Events, err = readLines[Event](dir, EventsFile); err != nil {
		return nil, err
	}
	if r.Courses, err = readLines[Course](dir, CoursesFile); err != nil {
		return nil, err
	}
	for _, c := range r.Courses {
		if !c.whole() {
			return nil, fmt.Errorf("%s: %s/%s/%d: its rows are not equally long", CoursesFile, c.Scenario, c.Stack, c.Seed)
		}
	}
	return r, r.readHistograms(dir)
}

// ReadSummary reads the folder's [SummaryFile] alone.
func ReadSummary(dir string) (*Summary, error) {
	path := filepath.Join(dir, SummaryFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Summary{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.SchemaVersion != 1 {
		return nil, fmt.Errorf("%s: schemaVersion %d: want 1", path, s.SchemaVersion)
	}
	return s, nil
}

// readLines reads a file with a line of JSON each; none if it is missing.
func readLines[T any](dir, name string) (list []T, err error) {
	path := filepath.Join(dir, name)
	f, err := os.Open(path)
	if err != nil {
		return nil, missingIsFine(err)
	}
	defer func() { _ = f.Close() }() // it was read only
	for dec := json.NewDecoder(f); ; {
		var x T
		switch err := dec.Decode(&x); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("%s: entry %d: %w", path, len(list)+1, err)
		}
		list = append(list, x)
	}
}

func (r *Results) readHistograms(dir string) error {
	path := filepath.Join(dir, HistogramsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return missingIsFine(err)
	}
	for log := hdrhistogram.NewHistogramLogReader(bytes.NewReader(data)); ; {
		h, err := log.NextIntervalHistogram()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if h == nil {
			return nil
		}
		r.Histograms[h.Tag()] = h
	}
}

func missingIsFine(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// whole reports whether all rows have as many slices as there are.
func (c *Course) whole() bool {
	n := len(c.Good)
	ok := c.SliceMs > 0 && c.TotalMs > 0 && len(c.Failed) == n && len(c.P99Ms) == n
	for _, row := range c.Attempts {
		ok = ok && len(row) == n
	}
	for _, row := range c.Out {
		ok = ok && len(row) == n
	}
	return ok
}

// group is the runs of one scenario with one stack.
type group struct {
	Scenario, Stack string
	Valid           []*Run
	Invalid         []*Run
}

// values of a metric, of the valid runs that have it.
func (g *group) values(key string) (list []float64) {
	for _, r := range g.Valid {
		if v, ok := r.Metrics.Value(key); ok {
			list = append(list, v)
		}
	}
	return list
}

// groups returns the summary's runs by scenario and stack, in its order.
func (s *Summary) groups() (list []*group) {
	at := map[[2]string]*group{}
	for i := range s.Runs {
		r := &s.Runs[i]
		g := at[[2]string{r.Scenario, r.Stack}]
		if g == nil {
			g = &group{Scenario: r.Scenario, Stack: r.Stack}
			at[[2]string{r.Scenario, r.Stack}] = g
			list = append(list, g)
		}
		if r.Valid {
			g.Valid = append(g.Valid, r)
		} else {
			g.Invalid = append(g.Invalid, r)
		}
	}
	return list
}

package trace

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/resilience/trace"
)

// Import says how a log is read.
type Import struct {
	Format   string            // csv, nginx, haproxy, combined, common
	Template string            // log_format of nginx's, for the format nginx; empty: the default one
	Columns  map[string]string // what a record wants, and the name of the field it is in
	Unit     time.Duration     // of latencies without a unit. Default 1 s
	Started  bool              // the time is when the attempt started; otherwise when it ended
	Given    trace.Record      // Client, Service and Node, where the log does not say
}

// Imported is what came of it.
type Imported struct {
	Records int      `json:"records"`
	Skipped int      `json:"skipped"`           // rows that could not be read
	Reasons []string `json:"reasons,omitempty"` // of the first of these, with their lines
}

var errTimers = errors.New("timers: want five of at most a day")

const reasons = 5

// Run reads a log and writes a trace. A row that cannot be read is skipped and
// counted. The error is about the log as a whole.
func (im Import) Run(in io.Reader, out *trace.Writer) (Imported, error) {
	var done Imported
	src, err := newSource(in, im.Format, im.Template)
	if err != nil {
		return done, err
	}
	read, err := im.reader(src.fields())
	if err != nil {
		return done, err
	}
	for {
		row, line, err := src.next()
		if errors.Is(err, io.EOF) {
			break
		}
		var list []trace.Record
		var bad *rowError
		if err == nil {
			if list, err = read(row); err != nil {
				err = &rowError{err}
			}
		}
		if errors.As(err, &bad) {
			if done.Skipped++; len(done.Reasons) < reasons {
				done.Reasons = append(done.Reasons, fmt.Sprintf("line %d: %v", line, bad))
			}
			continue
		}
		if err != nil {
			return done, fmt.Errorf("line %d: %w", line, err)
		}
		for _, x := range list {
			if err := out.Write(x); err != nil {
				return done, err
			}
			done.Records++
		}
	}
	return done, out.Flush()
}

func (im Import) reader(fields []string) (func(row []string) ([]trace.Record, error), error) {
	if im.Format == "haproxy" {
		return func(row []string) ([]trace.Record, error) { return haproxy(fields, row, im.Given) }, nil
	}
	at, err := choose(fields, im.Columns)
	if err != nil {
		return nil, err
	}
	c := &columns{at: at, unit: im.Unit, ended: !im.Started, given: im.Given}
	if c.unit == 0 {
		c.unit = time.Second
	}
	return c.records, nil
}

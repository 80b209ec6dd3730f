package trace

import (
	"bufio"
	"io"

	"github.com/holdfast-go/holdfast/selector"
)

// Writer writes a trace of attempts that were recorded elsewhere: in an access
// log, or by a simulation. It is not safe for concurrent use.
type Writer struct {
	out    *bufio.Writer
	client string
	headed bool
	line   []byte
}

// NewWriter writes to w. Flush must be called at the end.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(w, 64<<10)} }

// Write writes an attempt. Names are cut to 128 bytes.
func (w *Writer) Write(x Record) error {
	client := short(x.Client)
	orElse(&x.Attempt, 1)
	orElse(&x.Calls, 1)
	w.line = w.line[:0]
	if !w.headed || client != w.client {
		w.line = header(w.line, client)
		w.client, w.headed = client, true
	}
	w.line = appendRecord(w.line, &entry{
		start: x.Start.UnixNano(), latency: int64(x.Latency), node: &selector.Node{ID: x.Node},
		service: short(x.Service), method: short(x.Method), outcome: short(x.Outcome), result: x.Result,
		attempt: int32(min(x.Attempt, 1<<30)), calls: int32(min(x.Calls, 1<<30)),
	})
	_, err := w.out.Write(w.line)
	return err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.out.Flush() }

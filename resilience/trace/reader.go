package trace

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Reader reads a trace: one file, or several that were concatenated. It is not
// safe for concurrent use.
type Reader struct {
	in     *bufio.Reader
	client string
	headed bool
	lost   uint64
	line   int
	offset int64
	end    error
}

// maxLine bounds a line: six names of 128 bytes, each escaped, fit.
const maxLine = 16 << 10

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, maxLine)} }

// Next returns the next attempt, io.EOF after the last one, or a [*BreakError]
// where the trace is broken or cut off; after an error it returns the same.
func (r *Reader) Next() (Record, error) {
	for r.end == nil {
		l, err := r.next()
		switch {
		case err != nil:
			r.end = err
		case l.Trace != 0:
			r.client, r.headed = l.Client, true
		case !r.headed:
			r.end = &BreakError{Line: 1, Err: errors.New("no header: not a trace")}
		case l.Lost != 0:
			r.lost += l.Lost
		default:
			return l.record(r.client), nil
		}
	}
	return Record{}, r.end
}

// Lost returns how many attempts the recorder could not write, as far as was
// read.
func (r *Reader) Lost() uint64 { return r.lost }

func (r *Reader) next() (line, error) {
	b, err := r.in.ReadSlice('\n')
	r.line++
	broken := func(err error) (line, error) {
		return line{}, &BreakError{Line: r.line, Offset: r.offset, Err: err}
	}
	switch {
	case errors.Is(err, io.EOF) && len(b) == 0:
		return line{}, io.EOF
	case errors.Is(err, io.EOF):
		return broken(io.ErrUnexpectedEOF)
	case errors.Is(err, bufio.ErrBufferFull):
		return broken(errors.New("line too long"))
	case err != nil:
		return broken(err)
	}
	l, err := parse(bytes.TrimRight(b, "\r\n"))
	if err != nil {
		return broken(err)
	}
	r.offset += int64(len(b))
	return l, nil
}

package trace

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// source reads a log row by row.
type source interface {
	fields() []string
	// next returns the values of the fields, a *rowError for a row that cannot
	// be read, which the next may be, and io.EOF at the end.
	next() (row []string, line int, err error)
}

type rowError struct{ err error }

func (e *rowError) Error() string { return e.err.Error() }
func (e *rowError) Unwrap() error { return e.err }

// Formats that logs can have. The common and the combined format say neither
// which node answered nor how long it took.
const (
	common   = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent`
	combined = common + ` "$http_referer" "$http_user_agent"`
	nginx    = combined + ` $upstream_addr $upstream_status $upstream_response_time`
)

var templates = map[string]string{"common": common, "combined": combined, "nginx": nginx}

// newSource reads a log in one of the formats; template is a log_format of
// nginx's, or empty.
func newSource(in io.Reader, format, template string) (source, error) {
	switch {
	case format == "csv":
		return newCSV(in)
	case format == "haproxy":
		return newLines(in, haproxyLine), nil
	case template == "":
		template = templates[format]
	}
	re, err := compile(template)
	if err != nil {
		return nil, err
	}
	return newLines(in, re), nil
}

// csvSource is a table whose first row has the names.
type csvSource struct {
	r     *csv.Reader
	names []string
}

func newCSV(in io.Reader) (*csvSource, error) {
	r := csv.NewReader(in)
	r.ReuseRecord, r.FieldsPerRecord = true, -1
	first, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the row with the columns' names: %w", err)
	}
	names := make([]string, len(first))
	for i, s := range first {
		names[i] = strings.Clone(strings.TrimSpace(strings.TrimPrefix(s, "\ufeff")))
	}
	return &csvSource{r, names}, nil
}

func (s *csvSource) fields() []string { return s.names }

func (s *csvSource) next() ([]string, int, error) {
	row, err := s.r.Read()
	line := 0
	if len(row) > 0 {
		line, _ = s.r.FieldPos(0)
	}
	var p *csv.ParseError
	switch {
	case errors.As(err, &p):
		return nil, p.StartLine, &rowError{err}
	case err != nil:
		return nil, line, err
	case len(row) != len(s.names):
		return nil, line, &rowError{fmt.Errorf("%d fields: want %d", len(row), len(s.names))}
	}
	return row, line, nil
}

// lines is a log with a regular expression whose groups are the fields.
type lines struct {
	in    *bufio.Reader
	re    *regexp.Regexp
	names []string
	line  int
}

const longestLine = 1 << 20

func newLines(in io.Reader, re *regexp.Regexp) *lines {
	return &lines{in: bufio.NewReaderSize(in, longestLine), re: re, names: re.SubexpNames()[1:]}
}

func (s *lines) fields() []string { return s.names }

func (s *lines) next() ([]string, int, error) {
	text, err := s.in.ReadSlice('\n')
	s.line++
	for errors.Is(err, bufio.ErrBufferFull) { // left out as a whole
		text = nil
		_, err = s.in.ReadSlice('\n')
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
		return nil, s.line, err
	}
	m := s.re.FindSubmatch([]byte(strings.TrimRight(string(text), "\r\n")))
	if m == nil {
		return nil, s.line, &rowError{errors.New("not in this format")}
	}
	row := make([]string, len(s.names))
	for i := range row {
		row[i] = string(m[i+1])
	}
	return row, s.line, nil
}

var variable = regexp.MustCompile(`\$(\w+|\{\w+\})`)

// compile makes a regular expression of a log_format of nginx's: a variable is
// all up to what follows it. What is listed by ", " or " : " may go on over
// the blank that follows the variable.
func compile(template string) (*regexp.Regexp, error) {
	var b strings.Builder
	seen := make(map[string]bool)
	b.WriteString("^")
	rest := template
	for {
		at := variable.FindStringIndex(rest)
		if at == nil {
			break
		}
		b.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		name := strings.Trim(rest[at[0]:at[1]], "${}")
		rest = rest[at[1]:]
		switch {
		case seen[name]:
			return nil, fmt.Errorf("log format: $%s is there twice", name)
		case rest == "":
			fmt.Fprintf(&b, "(?P<%s>.*)", name)
		case rest[0] == '$':
			return nil, fmt.Errorf("log format: nothing between $%s and %s", name, rest[:2])
		case strings.HasPrefix(name, "upstream_") && rest[0] == ' ':
			fmt.Fprintf(&b, `(?P<%s>[^ ,]+(?:(?:, | : )[^ ,]+)*)`, name)
		default:
			fmt.Fprintf(&b, `(?P<%s>[^%s]*)`, name, regexp.QuoteMeta(rest[:1]))
		}
		seen[name] = true
	}
	if len(seen) == 0 {
		return nil, errors.New("log format: want variables, as $status")
	}
	b.WriteString(regexp.QuoteMeta(rest))
	return regexp.Compile(b.String())
}

// haproxyLine is `option httplog`, behind whatever syslog puts before it:
// HAProxy 2.6's configuration manual, 8.2.3 (HTTP log format).
var haproxyLine = regexp.MustCompile(`(?:\S+):\d+ \[(?P<accepted>[^\]]+)\] \S+ (?P<node>[^ /]+/\S+) (?P<timers>-?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+) (?P<status>-?\d+) \+?\d+ \S+ \S+ (?P<state>\S{4}) \d+/\d+/\d+/\d+/\+?(?P<retries>\d+) \d+/\d+ (?:\{[^}]*\} ){0,2}"(?P<request>[^"]*)"?`)

package trace

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/trace"
)

// A log has fields with names; columns say which of them are what a record
// wants. Several names: the first that the log has.
var columnNames = map[string][]string{
	"time":    {"time", "start", "timestamp", "ts", "msec", "time_iso8601", "time_local"},
	"latency": {"latency", "duration", "upstream_response_time", "request_time"},
	"node":    {"node", "upstream_addr", "upstream", "server", "host"},
	"status":  {"status", "code", "upstream_status"},
	"outcome": {"outcome"},
	"method":  {"method", "request", "path", "uri"},
	"client":  {"client"},
	"service": {"service"},
	"attempt": {"attempt"},
}

// units of a latency that is a plain number.
var units = map[string]time.Duration{"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond, "ns": 1}

// columns find a record's parts in a row.
type columns struct {
	at    map[string]int // by what a record wants
	unit  time.Duration  // of the latency
	ended bool           // the time is when the attempt ended
	given trace.Record   // for what the log does not say
}

// choose finds the columns among a log's fields. Asked are the user's: what a
// record wants, and the name of the field.
func choose(fields []string, asked map[string]string) (map[string]int, error) {
	at := make(map[string]int)
	var errs []error
	for want, defaults := range columnNames {
		if name, ok := asked[want]; ok {
			if at[want] = slices.Index(fields, name); at[want] < 0 {
				delete(at, want)
				errs = append(errs, fmt.Errorf("column %s=%s: the log has %s", want, name, strings.Join(fields, ", ")))
			}
			continue
		}
		if want == "status" && slices.Contains(fields, "upstream_status") {
			defaults = []string{"upstream_status"} // the node's own answer
		}
		for _, name := range defaults {
			if i := slices.Index(fields, name); i >= 0 {
				at[want] = i
				break
			}
		}
	}
	for want := range asked {
		if _, ok := columnNames[want]; !ok {
			errs = append(errs, fmt.Errorf("column %s: want one of %s", want, strings.Join(slices.Sorted(maps.Keys(columnNames)), ", ")))
		}
	}
	if _, ok := at["time"]; !ok && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("no column for the time: the log has %s", strings.Join(fields, ", ")))
	}
	_, status := at["status"]
	_, outcome := at["outcome"]
	if !status && !outcome && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("no column for the status or the outcome: the log has %s", strings.Join(fields, ", ")))
	}
	return at, errors.Join(errs...)
}

func (c *columns) get(row []string, want string) (string, bool) {
	i, ok := c.at[want]
	if !ok || i >= len(row) || row[i] == "-" || row[i] == "" {
		return "", false
	}
	return row[i], true
}

// records are the attempts of a row: nginx puts several, to as many nodes, into
// one.
func (c *columns) records(row []string) ([]trace.Record, error) {
	text, ok := c.get(row, "time")
	if !ok {
		return nil, errors.New("no time")
	}
	at, err := parseTime(text)
	if err != nil {
		return nil, err
	}
	base := c.given
	for want, field := range map[string]*string{"client": &base.Client, "service": &base.Service} {
		if s, ok := c.get(row, want); ok {
			*field = s
		}
	}
	if s, ok := c.get(row, "method"); ok {
		base.Method = methodOf(s)
	}
	base.Attempt = 1
	if s, ok := c.get(row, "attempt"); ok {
		if base.Attempt, err = strconv.Atoi(s); err != nil || base.Attempt < 1 {
			return nil, fmt.Errorf("attempt %q: want 1 or more", s)
		}
	}
	nodes, statuses, latencies := c.several(row, "node"), c.several(row, "status"), c.several(row, "latency")
	n := max(len(nodes), 1)
	list := make([]trace.Record, 0, n)
	total := time.Duration(0)
	for i := range n {
		x := base
		x.Attempt += i
		if i < len(nodes) {
			x.Node = nodes[i]
		}
		if x.Latency, err = c.latency(nth(latencies, i)); err != nil {
			return nil, err
		}
		if s, ok := c.get(row, "outcome"); ok {
			if err := named(&x, s); err != nil {
				return nil, err
			}
		} else if err := answered(&x, nth(statuses, i)); err != nil {
			return nil, err
		}
		total += x.Latency
		list = append(list, x)
	}
	if c.ended {
		at = at.Add(-total)
	}
	for i := range list { // one after the other
		list[i].Start, list[i].Calls = at, 1
		at = at.Add(list[i].Latency)
	}
	return list, nil
}

// several splits what nginx joins by ", " (another node of the group) or " : "
// (another group).
func (c *columns) several(row []string, want string) []string {
	s, ok := c.get(row, want)
	if !ok {
		return nil
	}
	return strings.Split(strings.ReplaceAll(s, " : ", ", "), ", ")
}

func nth(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

const longestLatency = 24 * time.Hour

func (c *columns) latency(s string) (time.Duration, error) {
	if s == "" || s == "-" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) {
			return 0, fmt.Errorf("latency %q: want a number, or a duration as 1.5ms", s)
		}
		d = time.Duration(min(f*float64(c.unit), float64(longestLatency+1)))
	}
	if d < 0 || d > longestLatency {
		return 0, fmt.Errorf("latency %q: want 0 to %v", s, longestLatency)
	}
	return d, nil
}

var layouts = []string{
	time.RFC3339Nano, "02/Jan/2006:15:04:05 -0700", "02/Jan/2006:15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999",
}

// parseTime reads the usual ways to write a time; of a plain number the size
// tells whether it is seconds, milliseconds, microseconds or nanoseconds.
func parseTime(s string) (time.Time, error) {
	s = strings.Trim(s, "[]")
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > 1e8 && f < 9e18 {
		for _, scale := range []float64{1e9, 1e6, 1e3, 1} {
			if f*scale >= 1e17 && f*scale < 9e18 {
				whole, part, _ := strings.Cut(s, ".")
				n, err := strconv.ParseInt(whole, 10, 64)
				if err != nil {
					return time.Time{}, fmt.Errorf("time %q: %w", s, err)
				}
				frac := 0.
				if part != "" {
					frac, _ = strconv.ParseFloat("0."+part, 64)
				}
				return time.Unix(0, n*int64(scale)+int64(frac*scale)), nil
			}
		}
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil && t.Year() >= 1973 && t.Year() < 2262 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: want seconds since 1970, RFC 3339 or 02/Jan/2006:15:04:05 -0700", s)
}

var outcomes = []resilience.Outcome{
	resilience.Succeeded, resilience.NotSent, resilience.Rejected, resilience.Refused, resilience.Ambiguous, resilience.InProgress,
	resilience.Failed, resilience.Abandoned,
}

// named sets an outcome of the log's own: one of ours, or "ok" and "error".
func named(x *trace.Record, s string) error {
	switch s {
	case "ok", "success", "true":
		s = resilience.Succeeded.Name
	case "error", "failure", "false", "timeout":
		s = resilience.Ambiguous.Name
	}
	for _, o := range outcomes {
		if o.Name == s {
			x.Outcome, x.Result = o.Name, o.Node
			return nil
		}
	}
	return fmt.Errorf("outcome %q: want ok, error, or one of resilience's", s)
}

// answered sets what an HTTP status comes to.
func answered(x *trace.Record, s string) error {
	code, err := strconv.Atoi(s)
	if s != "" && s != "-" && (err != nil || code < -1 || code > 999) {
		return fmt.Errorf("status %q: want a number", s)
	}
	o := resilience.Succeeded
	switch {
	case code == 499: // nginx: the caller left
		o = resilience.Abandoned
	case code == 408, code == 429:
		o = resilience.Refused
	case code == 421, code == 425:
		o = resilience.NotSent
	case code == 501, code == 505, code >= 400 && code < 500:
		o = resilience.Failed
	case code >= 500, code < 100: // nothing came
		o = resilience.Ambiguous
	}
	x.Outcome, x.Result = o.Name, o.Node
	return nil
}

// methodOf makes a request line or a path the name of an operation: without
// query, with * in the place of what looks like an identifier.
func methodOf(s string) string {
	verb, path, ok := strings.Cut(s, " ")
	if !ok {
		verb, path = "", s
	}
	path, _, _ = strings.Cut(path, " ")
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.ContainsAny(p, "0123456789%@") || len(p) > 32 {
			parts[i] = "*"
		}
	}
	return strings.TrimSpace(verb + " " + strings.Join(parts[:min(len(parts), 6)], "/"))
}

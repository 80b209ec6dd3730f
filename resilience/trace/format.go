package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// The lines of a file. The first of each file, wherever files are
// concatenated, is a header:
//
//	{"trace":1,"client":"web-3"}
//	{"t":1795691200123456789,"l":10250000,"n":"10.0.0.1:80","s":"users","m":"GET /user","o":"ambiguous","r":"f","a":2}
//	{"lost":17}
//
// t and l are the start and the latency in nanoseconds; r says what the attempt
// says about the node, f a failure, i nothing, and is left out for a success; a
// is left out for a first attempt, w (how many it stands for) when it is 1.
const version = 1

type line struct {
	Trace  int    `json:"trace,omitempty"`
	Client string `json:"client,omitempty"`

	Lost uint64 `json:"lost,omitempty"`

	Start   int64  `json:"t,omitempty"`
	Latency int64  `json:"l"`
	Node    string `json:"n,omitempty"`
	Service string `json:"s,omitempty"`
	Method  string `json:"m,omitempty"`
	Outcome string `json:"o,omitempty"`
	Result  string `json:"r,omitempty"`
	Attempt int    `json:"a,omitempty"`
	Calls   int    `json:"w,omitempty"`
}

// header appends the first line of a file.
func header(b []byte, client string) []byte {
	b = append(b, `{"trace":`...)
	b = strconv.AppendInt(b, version, 10)
	b = text(b, `,"client":`, client)
	return append(b, "}\n"...)
}

// appendLost appends the line of attempts that could not be written.
func appendLost(b []byte, n uint64) []byte {
	b = append(b, `{"lost":`...)
	return append(strconv.AppendUint(b, n, 10), "}\n"...)
}

// appendRecord appends the line of an attempt.
func appendRecord(b []byte, x *entry) []byte {
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, x.start, 10)
	b = append(b, `,"l":`...)
	b = strconv.AppendInt(b, max(0, x.latency), 10)
	if x.node != nil {
		b = text(b, `,"n":`, short(x.node.ID))
	}
	b = text(b, `,"s":`, x.service)
	b = text(b, `,"m":`, x.method)
	b = text(b, `,"o":`, x.outcome)
	switch x.result {
	case breaker.Failure:
		b = append(b, `,"r":"f"`...)
	case breaker.Ignored:
		b = append(b, `,"r":"i"`...)
	}
	b = number(b, `,"a":`, x.attempt)
	b = number(b, `,"w":`, x.calls)
	return append(b, "}\n"...)
}

// text appends a field with a string, but for an empty one.
func text(b []byte, field, s string) []byte {
	if s == "" {
		return b
	}
	b = append(b, field...)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // of a string: no error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// number appends a field with a number, but for 1.
func number(b []byte, field string, n int32) []byte {
	if n == 1 {
		return b
	}
	return strconv.AppendInt(append(b, field...), int64(n), 10)
}

var results = map[string]breaker.Result{"": breaker.Success, "f": breaker.Failure, "i": breaker.Ignored}

// parse reads a line. Fields that it does not know are for later versions.
func parse(b []byte) (line, error) {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return l, err
	}
	if l.Trace != 0 || l.Lost != 0 {
		if l.Trace > version {
			return l, fmt.Errorf("version %d: want at most %d", l.Trace, version)
		}
		return l, nil
	}
	var errs []error
	if l.Start <= 0 {
		errs = append(errs, errors.New("no start"))
	}
	if l.Latency < 0 || l.Start > math.MaxInt64-l.Latency {
		errs = append(errs, fmt.Errorf("latency %d: want 0 or more", l.Latency))
	}
	if _, ok := results[l.Result]; !ok {
		errs = append(errs, fmt.Errorf("result %q: want f, i or none", l.Result))
	}
	if l.Attempt < 0 || l.Calls < 0 || l.Attempt > math.MaxInt32 || l.Calls > math.MaxInt32 {
		errs = append(errs, errors.New("attempt or weight out of range"))
	}
	return l, errors.Join(errs...)
}

func (l line) record(client string) Record {
	orElse(&l.Attempt, 1)
	orElse(&l.Calls, 1)
	return Record{
		Start: time.Unix(0, l.Start), Client: client, Service: l.Service, Node: l.Node, Method: l.Method, Outcome: l.Outcome,
		Result: results[l.Result], Latency: time.Duration(l.Latency), Attempt: l.Attempt, Calls: l.Calls,
	}
}

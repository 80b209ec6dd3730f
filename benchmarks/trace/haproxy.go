package trace

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/trace"
)

// haproxy reads the rows of haproxyLine. Its timers are TR/Tw/Tc/Tr/Ta in
// milliseconds, -1 for what was not reached: the request, the queue, the
// connection, the node's headers, all of it.
func haproxy(names, row []string, given trace.Record) ([]trace.Record, error) {
	get := func(name string) string { return row[slices.Index(names, name)] }
	at, err := parseTime(get("accepted"))
	if err != nil {
		return nil, err
	}
	x := given
	if err := answered(&x, get("status")); err != nil {
		return nil, err
	}
	var timers [5]time.Duration
	for i, s := range strings.Split(get("timers"), "/") {
		ms, err := strconv.Atoi(strings.TrimPrefix(s, "+"))
		if err != nil || ms > int(longestLatency/time.Millisecond) {
			return nil, errTimers
		}
		timers[i] = time.Duration(ms) * time.Millisecond
	}
	waited := max(0, timers[0]) + max(0, timers[1])
	x.Latency = timers[2] + timers[3]
	if timers[2] < 0 || timers[3] < 0 {
		x.Latency = max(0, timers[4]-waited)
	}
	x.Start, x.Method, x.Calls = at.Add(waited), methodOf(get("request")), 1
	x.Node = get("node")
	if _, server, _ := strings.Cut(x.Node, "/"); server == "<NOSRV>" {
		x.Node = ""
	}
	retries, err := strconv.Atoi(get("retries"))
	if err != nil {
		return nil, err
	}
	x.Attempt = 1 + min(retries, 1000)
	// The first two characters of the state: who ended it, and where it was.
	var o resilience.Outcome
	switch state := get("state"); {
	case x.Node == "", state[0] == 'P', state[0] == 'R':
		o = resilience.Rejected
	case state[0] == 'C', state[0] == 'c':
		o = resilience.Abandoned
	case state[1] == 'C', state[1] == 'Q':
		o = resilience.NotSent
	case state[0] == 'S', state[0] == 's':
		o = resilience.Ambiguous
	default:
		return []trace.Record{x}, nil
	}
	x.Outcome, x.Result = o.Name, o.Node
	return []trace.Record{x}, nil
}

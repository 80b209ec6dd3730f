package resilience

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/selector"
)

// LogEvents is an Observer that writes to logger; nil: to slog.Default(), as it
// is at the time.
//
//	error  a call failed and may have been carried out; a source of nodes or settings failed
//	warn   a call or its fallback failed; a node was ejected, or should have been; the service breaker opened
//	info   an attempt failed; a fallback answered; nodes came, went, were suspected or readmitted; settings changed; what a candidate would have done; a client opened or closed
//	debug  retries' waits, what the service answered itself (a 404 perhaps), what callers gave up, and all that went well
//
// Each kind of line is written at most ten times a second for each client; the
// next one after that says by "suppressed" how many were not. What logger does
// not want is not put together. Times are the logger's own.
func LogEvents(logger *slog.Logger) Watcher { return &eventLog{logger: logger} }

// eventLog writes the events of one client, or of what is stacked by hand.
type eventLog struct {
	logger *slog.Logger // nil: the default
	named  bool         // logger says the service
	lines  [lines]lineLimit
}

// Watch implements [Watcher].
func (l *eventLog) Watch(service string) Observer {
	if l.logger == nil || service == "" {
		return &eventLog{logger: l.logger}
	}
	return &eventLog{logger: l.logger.With("service", service), named: true}
}

// line is a kind of line that is written.
type line uint8

const (
	lineCallDone line = iota
	lineCallAnswered
	lineCallAbandoned
	lineCallFailed
	lineCallAmbiguous
	lineAttemptDone
	lineAttemptAnswered
	lineAttemptAbandoned
	lineAttemptFailed
	lineRetry
	lineFallback
	lineFallbackFailed
	lineBreaker
	lineBreakerOpened
	lineOpened
	lineClosed
	lineSettings
	lineSettingsRefused
	lineCandidate
	lineOther
	lineNode // and a line for each kind of change

	lines = lineNode + line(selector.Spared) + 2 // the last is for kinds that are not known here
)

// texts are the lines, and how much they matter.
var texts = [lines]struct {
	level slog.Level
	text  string
}{
	lineCallDone:         {slog.LevelDebug, "call done"},
	lineCallAnswered:     {slog.LevelDebug, "call answered with an error"},
	lineCallAbandoned:    {slog.LevelDebug, "call given up by its caller"},
	lineCallFailed:       {slog.LevelWarn, "call failed"},
	lineCallAmbiguous:    {slog.LevelError, "call failed and may have been carried out"},
	lineAttemptDone:      {slog.LevelDebug, "attempt done"},
	lineAttemptAnswered:  {slog.LevelDebug, "attempt answered with an error"},
	lineAttemptAbandoned: {slog.LevelDebug, "attempt given up by its caller"},
	lineAttemptFailed:    {slog.LevelInfo, "attempt failed"},
	lineRetry:            {slog.LevelDebug, "waiting to try again"},
	lineFallback:         {slog.LevelInfo, "fallback answered"},
	lineFallbackFailed:   {slog.LevelWarn, "fallback failed"},
	lineBreaker:          {slog.LevelInfo, "service breaker changed"},
	lineBreakerOpened:    {slog.LevelWarn, "service breaker opened"},
	lineOpened:           {slog.LevelInfo, "client opened"},
	lineClosed:           {slog.LevelInfo, "client closed"},
	lineSettings:         {slog.LevelInfo, "settings changed"},
	lineSettingsRefused:  {slog.LevelError, "settings refused"},
	lineCandidate:        {slog.LevelInfo, "candidate settings would have done so"},
	lineOther:            {slog.LevelInfo, "event"},

	lineNode + line(selector.NodesChanged): {slog.LevelInfo, "nodes changed"},
	lineNode + line(selector.SourceFailed): {slog.LevelError, "source of nodes failed"},
	lineNode + line(selector.Ejected):      {slog.LevelWarn, "node ejected"},
	lineNode + line(selector.ProbeFailed):  {slog.LevelInfo, "node is still ill"},
	lineNode + line(selector.Readmitted):   {slog.LevelInfo, "node readmitted"},
	lineNode + line(selector.Prevented):    {slog.LevelWarn, "node kept in spite of its failures: too many are out"},
	lineNode + line(selector.Suspected):    {slog.LevelInfo, "node is silent"},
	lineNode + line(selector.Cleared):      {slog.LevelInfo, "node answers again"},
	lineNode + line(selector.Spared):       {slog.LevelWarn, "node kept in spite of its failures: the others do no better"},
	lines - 1:                              {slog.LevelInfo, "node event"},
}

// lineOf is the line for an event.
func lineOf(e *Event) line {
	switch e.Kind {
	case CallDone:
		switch {
		case e.Err == nil:
			return lineCallDone
		case errors.Is(e.Err, context.Canceled) && (e.Outcome.Name == Abandoned.Name || e.Why == retry.Cancelled):
			return lineCallAbandoned
		case e.Ambiguous:
			return lineCallAmbiguous
		case e.Outcome.Effect == retry.Answered:
			return lineCallAnswered
		}
		return lineCallFailed
	case AttemptDone:
		switch {
		case e.Err == nil:
			return lineAttemptDone
		case e.Outcome.Effect == retry.Answered, e.Outcome.Pending:
			return lineAttemptAnswered
		case e.Outcome.Name == Abandoned.Name && errors.Is(e.Err, context.Canceled):
			return lineAttemptAbandoned
		}
		return lineAttemptFailed
	case RetryWaiting:
		return lineRetry
	case FallbackDone:
		if e.Err != nil {
			return lineFallbackFailed
		}
		return lineFallback
	case NodeEvent:
		return min(lineNode+line(e.Change.Kind), lines-1)
	case ServiceBreakerEvent:
		if e.Breaker.To == breaker.Open {
			return lineBreakerOpened
		}
		return lineBreaker
	case ClientOpened:
		return lineOpened
	case ClientClosed:
		return lineClosed
	case SettingsChanged:
		return lineSettings
	case SettingsRefused:
		return lineSettingsRefused
	case CandidateEvent:
		return lineCandidate
	}
	return lineOther
}

// Observe implements [Observer].
func (l *eventLog) Observe(e Event) {
	which := lineOf(&e)
	logger, level := l.logger, texts[which].level
	if logger == nil {
		logger = slog.Default()
	}
	ctx := context.Background()
	if !logger.Enabled(ctx, level) {
		return
	}
	suppressed, ok := l.lines[which].admit(e.At)
	if !ok {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	if !l.named && e.Service != "" {
		attrs = append(attrs, slog.String("service", e.Service))
	}
	attrs = append(attrs, attributes(&e)...)
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	logger.LogAttrs(ctx, level, texts[which].text, attrs...)
}

// attributes are what there is to say of an event.
func attributes(e *Event) (list []slog.Attr) {
	add := func(ok bool, a slog.Attr) {
		if ok {
			list = append(list, a)
		}
	}
	reason := func(openFor time.Duration, r breaker.Reason) {
		add(openFor > 0, slog.Duration("open_for", openFor))
		add(r != (breaker.Reason{}), reasonAttr(r))
	}
	add(e.Method != "", slog.String("method", e.Method))
	node := e.Node
	if c := e.Change; c != nil {
		node = c.Node
	}
	if node != nil && node.ID != "" {
		add(true, slog.String("node", node.ID))
		add(node.Addr != "" && node.Addr != node.ID, slog.String("addr", node.Addr))
	}
	add(e.Kind == AttemptDone || e.Kind == RetryWaiting, slog.Int("attempt", e.Attempt))
	add(e.Kind == CallDone || e.Kind == FallbackDone, slog.Int("attempts", e.Attempt))
	add(e.Probe, slog.Bool("probe", true))
	add(e.Outcome.Name != "", slog.String("outcome", e.Outcome.Name))
	add(e.Elapsed > 0, slog.Duration("elapsed", e.Elapsed))
	add(e.Wait > 0, slog.Duration("wait", e.Wait))
	add(e.Kind == CallDone && e.Err != nil, slog.String("why", e.Why.String()))
	err := e.Err
	if c := e.Change; c != nil {
		add(e.Kind == CandidateEvent, slog.String("change", c.Kind.String()))
		add(c.Kind == selector.NodesChanged, slog.Int("nodes", c.Nodes))
		add(c.Added > 0, slog.Int("added", c.Added))
		add(c.Removed > 0, slog.Int("removed", c.Removed))
		reason(c.OpenFor, c.Reason)
		err = c.Err
	}
	if b := e.Breaker; b != nil {
		add(true, slog.String("from", b.From.String()))
		add(true, slog.String("to", b.To.String()))
		add(b.Mode != breaker.Auto, slog.String("mode", b.Mode.String()))
		add(b.Shadow, slog.Bool("shadow", true))
		reason(b.OpenFor, b.Reason)
	}
	add(err != nil, slog.Any("err", err))
	return list
}

func reasonAttr(r breaker.Reason) slog.Attr {
	list := []any{slog.String("cause", r.Cause.String())}
	add := func(ok bool, a slog.Attr) {
		if ok {
			list = append(list, a)
		}
	}
	add(r.Rule != "", slog.String("rule", r.Rule))
	add(r.Score != 0, slog.Float64("score", r.Score))
	add(r.Threshold != 0, slog.Float64("threshold", r.Threshold))
	add(r.Calls != 0, slog.Uint64("calls", r.Calls))
	add(r.Failures != 0, slog.Uint64("failures", r.Failures))
	add(r.Note != "", slog.String("note", r.Note))
	return slog.Group("reason", list...)
}

// linesASecond is how many lines of a kind are written.
const linesASecond = 10

// lineLimit counts the lines of a kind in a second that begins with its first.
type lineLimit struct {
	mu         sync.Mutex
	begin      time.Time
	n          int
	suppressed int
}

// admit reports whether another line may be written, and how many were not
// since the last.
func (l *lineLimit) admit(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := now.Sub(l.begin); d >= time.Second || d < -time.Second {
		l.begin, l.n = now, 0
	}
	if l.n++; l.n > linesASecond {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}

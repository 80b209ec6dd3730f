package board

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/clock"
)

// serveHystrix streams what a Hystrix dashboard shows: each second one
// HystrixCommand for each service, named "users", and each of its nodes, named
// "users/10.0.0.7:8080", and one HystrixThreadPool for each service, which is
// its bulkhead.
func (b *Board) serveHystrix(w http.ResponseWriter, r *http.Request) {
	b.stream(w, r, time.Second, func(second int64) []byte {
		return b.hystrix.of(second, func() []byte { return b.farewells.frame(hystrixEvents(b.State())) })
	})
}

// hystrixEvents are those of one second.
func hystrixEvents(st State) (commands []hystrixCommand, pools []hystrixPool) {
	seen := make(names)
	for i := range st.Services {
		sv := &st.Services[i]
		name := seen.unique(label(sv.Name, "holdfast"))
		commands = append(commands, serviceCommand(sv, name, st.At))
		pools = append(pools, servicePool(sv, name))
		for j := range sv.Nodes {
			n := &sv.Nodes[j]
			commands = append(commands, nodeCommand(sv, n, name, seen.unique(name+"/"+label(n.ID, "node")), st.At))
		}
	}
	return commands, pools
}

// farewells are the names that were shown. A dashboard keeps the last it heard
// of one, for good: so each that is no longer there is shown for some more
// seconds, with nothing in it.
type farewells map[string]*farewell

type farewell struct {
	group string
	pool  bool
	left  int // seconds to be shown for
}

const farewellSeconds = 10

func (f farewells) frame(commands []hystrixCommand, pools []hystrixPool) []byte {
	for name, of := range f {
		if of.left--; of.left < 0 {
			delete(f, name)
		}
	}
	for i := range commands {
		f[commands[i].Name] = &farewell{group: commands[i].Group, left: farewellSeconds}
	}
	for i := range pools {
		f[pools[i].Name].pool = true
	}
	for name, of := range f {
		if of.left == farewellSeconds {
			continue
		}
		commands = append(commands, command(name, of.group, &Window{}, nil, clock.System.Now()))
		if of.pool {
			pools = append(pools, servicePool(&Service{}, name))
		}
	}
	if len(commands) == 0 {
		return []byte(": no client yet\n\n")
	}
	var buf bytes.Buffer
	for i := range commands {
		appendEvent(&buf, &commands[i])
	}
	for i := range pools {
		appendEvent(&buf, &pools[i])
	}
	return buf.Bytes()
}

func appendEvent(buf *bytes.Buffer, event any) {
	text, err := json.Marshal(event)
	if err != nil { // they are plain structs
		panic(err)
	}
	buf.WriteString("data: ")
	buf.Write(text)
	buf.WriteString("\n\n")
}

func serviceCommand(sv *Service, name string, at time.Time) hystrixCommand {
	c := command(name, name, &sv.Calls, sv.Breaker, at)
	c.RollingCountFallbackSuccess = cut(sv.Calls.FellBack)
	c.RollingCountFallbackFailure = cut(sv.Calls.FallbackFailed)
	c.RollingCountExceptionsThrown = cut(sv.Calls.Errors() - min(sv.Calls.FellBack, sv.Calls.Errors()))
	c.CurrentConcurrentExecutionCount = cut(uint64(sv.InFlight))
	if s := sv.Settings; s != nil {
		c.ExecutionIsolationThreadTimeout = whole(s.Timeout)
		c.ExecutionIsolationThreadInterruptOnTimeout = s.Timeout > 0
		c.ExecutionIsolationSemaphoreMaxConcurrentRequests = cut(uint64(s.Bulkhead))
	}
	return c
}

func nodeCommand(sv *Service, n *Node, group, name string, at time.Time) hystrixCommand {
	c := command(name, group, &n.Attempts, n.Breaker, at)
	c.ExecutionIsolationThreadPoolKeyOverride = group
	c.CurrentConcurrentExecutionCount = cut(uint64(n.InFlight))
	c.CircuitBreakerOpen = c.CircuitBreakerOpen || n.Ejected
	if s := sv.Settings; s != nil {
		c.ExecutionIsolationThreadTimeout = whole(s.AttemptTimeout)
		c.ExecutionIsolationThreadInterruptOnTimeout = s.AttemptTimeout >= 0
		if !n.OwnRule {
			excess := s.Ejection.Excess
			orElse(&excess, 1./3)
			c.CircuitBreakerErrorThresholdPercent = percent(excess)
			c.CircuitBreakerEnabled = !s.Ejection.Off && len(sv.Nodes) > 1
		}
	}
	return c
}

// command is what calls and attempts have in common.
func command(name, group string, w *Window, b *Breaker, at time.Time) hystrixCommand {
	l := w.Latency
	latency := hystrixLatency{
		uint32(l.Min), uint32(l.P25), uint32(l.P50), uint32(l.P75), uint32(l.P90),
		uint32(l.P95), uint32(l.P99), uint32(l.P995), uint32(l.Max),
	}
	c := hystrixCommand{
		Type: "HystrixCommand", Name: name, Group: group, Time: at.UnixMilli(), ReportingHosts: 1,

		RequestCount: cut(w.Total), ErrorCount: cut(w.Errors()),

		RollingCountBadRequests:        cut(w.Answered),
		RollingCountFailure:            cut(w.Failed),
		RollingCountShortCircuited:     cut(w.ShortCircuited),
		RollingCountSuccess:            cut(w.Succeeded),
		RollingCountThreadPoolRejected: cut(w.Rejected),
		RollingCountTimeout:            cut(w.TimedOut),

		LatencyExecuteMean: uint32(l.Mean), LatencyExecute: latency,
		LatencyTotalMean: uint32(l.Mean), LatencyTotal: latency,

		ExecutionIsolationStrategy: "THREAD",
		RollingStatsWindow:         window * 1000,
	}
	if w.Total > 0 {
		c.ErrorPct = percent(float64(w.Errors()) / float64(w.Total))
	}
	if b != nil {
		c.CircuitBreakerEnabled = true
		c.CircuitBreakerOpen = b.State != breaker.Closed.String()
		c.CircuitBreakerForceOpen = b.Mode == breaker.ForcedOpen.String()
		c.CircuitBreakerForceClosed = b.Shadow || b.Mode == breaker.ForcedClosed.String()
		c.CircuitBreakerRequestVolumeThreshold = cut(uint64(b.MinCalls))
		c.CircuitBreakerErrorThresholdPercent = percent(b.ErrorRate)
		c.CircuitBreakerSleepWindow = uint32(b.OpenFor)
	}
	return c
}

func servicePool(sv *Service, name string) hystrixPool {
	size := uint32(0)
	if sv.Settings != nil {
		size = cut(uint64(sv.Settings.Bulkhead))
	}
	w := &sv.Calls
	return hystrixPool{
		Type: "HystrixThreadPool", Name: name, ReportingHosts: 1,

		CurrentActiveCount: cut(uint64(sv.InFlight)),
		CurrentPoolSize:    size, CurrentCorePoolSize: size, CurrentLargestPoolSize: size, CurrentMaximumPoolSize: size,

		RollingMaxActiveThreads:     cut(uint64(sv.Peak)),
		RollingCountThreadsExecuted: cut(w.Total - w.Rejected - w.ShortCircuited),
		RollingStatsWindow:          window * 1000,
	}
}

// label makes a name fit for the dashboard, which writes it into its page as
// HTML and into scripts as it is.
func label(name, empty string) string {
	if name == "" {
		return empty
	}
	name = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) || strings.ContainsRune(`<>&"'`+"`"+`\`, r) {
			return '_'
		}
		return r
	}, name)
	if len(name) > maxLabel {
		name = strings.ToValidUTF8(name[:maxLabel], "")
	}
	return name
}

const maxLabel = 200

func cut(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

func whole(d time.Duration) uint32 { return cut(uint64(max(d, 0) / time.Millisecond)) }

func percent(share float64) uint32 { return uint32(share*100 + 0.5) }

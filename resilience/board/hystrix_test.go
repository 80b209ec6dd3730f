package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	sony "github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/breaker/gobreaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
	"github.com/holdfast-go/holdfast/selector"
)

// shape lists the fields of an event with the kinds of their values. Numbers
// that are no counts, such as 1.5 or -1, have a kind of their own.
func shape(t *testing.T, data string) map[string]string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	fields := make(map[string]string)
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, v := range v {
				walk(at+"/"+name, v)
			}
		case json.Number:
			fields[at] = "number"
			if regexp.MustCompile(`^[0-9]+$`).MatchString(v.String()) {
				fields[at] = "count"
			}
		default:
			fields[at] = fmt.Sprintf("%T", v)
		}
	}
	walk("", v)
	return fields
}

// typeOf is an event's own type and name.
func typeOf(t *testing.T, data string) (kind, name string) {
	t.Helper()
	var e struct{ Type, Name string }
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return e.Type, e.Name
}

// TestShape holds each event of the stream against those of hystrix-go's own
// stream: every field that it has is here, with a value of the same kind, and
// nothing else but what Hystrix has and hystrix-go lacks.
func TestShape(t *testing.T) {
	t.Parallel()
	peer := openStream(t, startPeer(t))
	want := make(map[string]map[string]string) // by type
	for peers := make(map[string]bool); len(peers) < 4; {
		data, ok := peer.next()
		if !ok {
			t.Fatal("hystrix-go's stream has ended")
		}
		kind, name := typeOf(t, data)
		peers[kind+name] = true
		fields := shape(t, data)
		if want[kind] != nil && !maps.Equal(want[kind], fields) {
			t.Fatalf("hystrix-go's events differ:\n%v\n%v", want[kind], fields)
		}
		want[kind] = fields
	}
	want["HystrixCommand"]["/rollingCountBadRequests"] = "count"

	b := newBoard(t, Config{})
	works := realClient(t, b, config{Service: "works", Nodes: addrs(2), Settings: sets{Timeout: time.Minute, Bulkhead: 7}})
	breaks := realClient(t, b, config{Service: "breaks", Settings: sets{Attempts: 1, ServiceBreaker: &resilience.RuleSettings{Rule: "consecutive", N: 1}}})
	for range 5 {
		if err := works.Do(t.Context(), resilience.Safe("m"), good); err != nil {
			t.Fatal(err)
		}
		_ = breaks.Do(t.Context(), resilience.Safe("m"), func(context.Context, *selector.Node) error { return errOp })
	}
	server := httptest.NewServer(b)
	defer server.Close()
	ours := openStream(t, server.URL+"/holdfast/hystrix.stream")
	seen := make(map[string]bool)
	for range 14 { // two rounds, of two services, two pools, and three nodes
		data, ok := ours.next()
		if !ok {
			t.Fatal("the stream has ended")
		}
		kind, name := typeOf(t, data)
		seen[kind+" "+name] = true
		got := shape(t, data)
		if want[kind] == nil {
			t.Errorf("an event of type %q", kind)
			continue
		}
		for field, value := range want[kind] {
			if got[field] != value {
				t.Errorf("%s %s: %s is a %q, want a %q", kind, name, field, got[field], value)
			}
			delete(got, field)
		}
		if len(got) > 0 {
			t.Errorf("%s %s: has also %v", kind, name, got)
		}
	}
	_ = b.Close() // or the server's Close would wait
	names := slices.Sorted(maps.Keys(seen))
	if wantNames := []string{
		"HystrixCommand breaks", "HystrixCommand breaks/node",
		"HystrixCommand works", "HystrixCommand works/10.0.0.1:8080", "HystrixCommand works/10.0.0.2:8080",
		"HystrixThreadPool breaks", "HystrixThreadPool works",
	}; !slices.Equal(names, wantNames) {
		t.Errorf("events %q, want %q", names, wantNames)
	}
}

// frame is the stream's frame of a state that is the first to be shown.
func frame(st State) []byte { return make(farewells).frame(hystrixEvents(st)) }

// commands are the events of one frame, by name.
func commands(t *testing.T, b *Board) (map[string]hystrixCommand, map[string]hystrixPool) {
	t.Helper()
	return decoded(t, frame(b.State()))
}

func decoded(t *testing.T, frame []byte) (map[string]hystrixCommand, map[string]hystrixPool) {
	t.Helper()
	all, pools := make(map[string]hystrixCommand), make(map[string]hystrixPool)
	for line := range strings.SplitSeq(string(frame), "\n\n") {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		kind, name := typeOf(t, data)
		var err error
		if kind == "HystrixThreadPool" {
			var p hystrixPool
			err = json.Unmarshal([]byte(data), &p)
			pools[name] = p
		} else {
			var c hystrixCommand
			err = json.Unmarshal([]byte(data), &c)
			all[name] = c
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return all, pools
}

// TestDashboardFinds what it asks for: hystrixCommand.js and
// hystrixThreadPool.js of Hystrix 1.5.12 throw an event away in which one of
// these is missing.
func TestDashboardFinds(t *testing.T) {
	t.Parallel()
	asked := map[string]string{
		"HystrixCommand": `reportingHosts type name group isCircuitBreakerOpen errorPercentage errorCount requestCount
			rollingCountCollapsedRequests rollingCountExceptionsThrown rollingCountFailure rollingCountFallbackFailure
			rollingCountFallbackRejection rollingCountFallbackSuccess rollingCountResponsesFromCache
			rollingCountSemaphoreRejected rollingCountShortCircuited rollingCountSuccess rollingCountThreadPoolRejected
			rollingCountTimeout rollingCountBadRequests currentConcurrentExecutionCount latencyExecute_mean latencyExecute
			propertyValue_circuitBreakerRequestVolumeThreshold propertyValue_circuitBreakerSleepWindowInMilliseconds
			propertyValue_circuitBreakerErrorThresholdPercentage propertyValue_circuitBreakerForceOpen
			propertyValue_circuitBreakerForceClosed propertyValue_executionIsolationStrategy
			propertyValue_executionIsolationThreadTimeoutInMilliseconds
			propertyValue_executionIsolationThreadInterruptOnTimeout
			propertyValue_executionIsolationSemaphoreMaxConcurrentRequests
			propertyValue_fallbackIsolationSemaphoreMaxConcurrentRequests propertyValue_requestCacheEnabled
			propertyValue_requestLogEnabled propertyValue_metricsRollingStatisticalWindowInMilliseconds`,
		"HystrixThreadPool": `type name currentActiveCount currentCompletedTaskCount currentCorePoolSize
			currentLargestPoolSize currentMaximumPoolSize currentPoolSize currentQueueSize currentTaskCount
			rollingCountThreadsExecuted rollingMaxActiveThreads reportingHosts propertyValue_queueSizeRejectionThreshold
			propertyValue_metricsRollingStatisticalWindowInMilliseconds`,
	}
	b := newBoard(t, Config{})
	realClient(t, b, config{})
	checked := 0
	for line := range strings.SplitSeq(string(frame(b.State())), "\n\n") {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(data), &fields); err != nil {
			t.Fatal(err)
		}
		kind, name := typeOf(t, data)
		for _, field := range strings.Fields(asked[kind]) {
			if fields[field] == nil {
				t.Errorf("%s %s: no %s", kind, name, field)
			}
		}
		if l, ok := fields["latencyExecute"].(map[string]any); kind == "HystrixCommand" && (!ok || l["50"] == nil || l["90"] == nil || l["99"] == nil || l["99.5"] == nil) {
			t.Errorf("%s: latencyExecute is %v", name, fields["latencyExecute"])
		}
		checked++
	}
	if checked != 3 {
		t.Errorf("%d events, want a service, its pool and a node", checked)
	}
}

// TestCounts: one call of every kind, in virtual time, and where each is found.
func TestCounts(t *testing.T) {
	t.Parallel()
	bench := resiliencetest.New(1)
	b := newBoard(t, Config{})
	script := func(replies ...reply) { bench.Node("a", steps(replies...)) }
	script()
	second := errors.New("nothing in the cache")
	answer := error(nil)
	c := benchClient(t, bench, b, config{
		Service: "s", Settings: sets{
			Attempts: 2, Bulkhead: 1, Timeout: 500 * tick, AttemptTimeout: -1,
			Backoff: resilience.BackoffSettings{Initial: -1}, Budget: resilience.BudgetSettings{Share: -1},
		},
		Fallback: func(_ context.Context, call *resilience.Call, err error) error {
			if call.Method != "cached" {
				return err
			}
			return answer
		},
	})
	call := func(hint resilience.Hint, replies ...reply) {
		t.Helper()
		script(replies...)
		bench.Run(func() { _ = c.Do(context.Background(), hint, bench.Op) })
	}
	for range 3 {
		call(resilience.Safe("m"), reply{After: 20 * tick})
	}
	call(resilience.Safe("m"), fails(resilience.Failed))                                    // a 404
	call(resilience.Unsafe("m"), fails(resilience.Ambiguous))                               // fails, ambiguous
	call(resilience.Safe("m"), fails(resilience.Ambiguous), reply{After: 40 * tick})        // saved by a retry
	call(resilience.Safe("m"), reply{Hang: true})                                           // times out
	call(resilience.Unsafe("cached"), fails(resilience.NotSent), fails(resilience.NotSent)) // the cache answers
	answer = second                                                                         //
	call(resilience.Unsafe("cached"), fails(resilience.NotSent), fails(resilience.NotSent)) // it fails too
	call(resilience.Safe("m"), fails(resilience.Refused), fails(resilience.Refused))        // 429
	gone, cancel := context.WithCancel(context.Background())                                //
	cancel()                                                                                //
	bench.Run(func() { _ = c.Do(gone, resilience.Safe("m"), bench.Op) })                    // given up
	bench.Run(func() {
		script(reply{After: 20 * tick})
		bench.Go(func() { _ = c.Do(context.Background(), resilience.Safe("m"), bench.Op) })
		bench.Sleep(tick)
		_ = c.Do(context.Background(), resilience.Safe("m"), bench.Op) // turned away
		bench.Sleep(time.Second)
	})

	all, pools := commands(t, b)
	got, node, pool := all["s"], all["s/a"], pools["s"]
	check := func(what string, got, want uint32) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %d, want %d", what, got, want)
		}
	}
	check("requestCount", got.RequestCount, 13)
	check("success", got.RollingCountSuccess, 5)
	check("bad requests", got.RollingCountBadRequests, 1)
	check("failure", got.RollingCountFailure, 3)
	check("timeout", got.RollingCountTimeout, 1)
	check("rejected", got.RollingCountThreadPoolRejected, 2)
	check("short-circuited", got.RollingCountShortCircuited, 0)
	check("fallback success", got.RollingCountFallbackSuccess, 1)
	check("fallback failure", got.RollingCountFallbackFailure, 4) // to pass the error on is to fail too
	check("errorCount", got.ErrorCount, 6)
	check("errorPercentage", got.ErrorPct, 46)
	check("exceptions", got.RollingCountExceptionsThrown, 5)
	check("in flight", got.CurrentConcurrentExecutionCount, 0)
	check("window", got.RollingStatsWindow, 10_000)
	check("the slowest", got.LatencyExecute.P100, 500)
	check("the quickest", got.LatencyExecute.P0, 0)

	check("of the node, requestCount", node.RequestCount, 15)
	check("of the node, success", node.RollingCountSuccess, 5)
	check("of the node, failure", node.RollingCountFailure, 6)
	check("of the node, rejected", node.RollingCountThreadPoolRejected, 2)
	check("of the node, timeout", node.RollingCountTimeout, 1)
	check("of the node, bad requests", node.RollingCountBadRequests, 1)

	check("pool size", pool.CurrentPoolSize, 1)
	check("most active", pool.RollingMaxActiveThreads, 1)
	check("executed", pool.RollingCountThreadsExecuted, got.RequestCount-got.RollingCountThreadPoolRejected)

	st := b.State()
	if sv := st.Services[0]; sv.Calls.Ambiguous != 2 || sv.Attempts.Retries != 4 || sv.Attempts.Total != 15 || sv.Calls.Abandoned != 1 {
		t.Errorf("%+v\n%+v", sv.Calls, sv.Attempts)
	}
	bench.Run(func() { bench.Sleep(11 * time.Second) })
	all, _ = commands(t, b)
	if c := all["s"]; c.RequestCount != 0 || c.ErrorPct != 0 || c.LatencyExecute.P100 != 500 {
		t.Errorf("eleven seconds later %+v, want no counts, and the minute's latencies", c)
	}
	bench.Run(func() { bench.Sleep(time.Minute) })
	all, _ = commands(t, b)
	if c := all["s"]; c.LatencyExecute != (hystrixLatency{}) || c.LatencyExecuteMean != 0 {
		t.Errorf("a minute later %+v", c.LatencyExecute)
	}
}

// plainEngine is another engine, which tells nothing but its state; its
// breakers open at a failure.
type plainEngine struct{ made []*plainBreaker }

type plainBreaker struct{ state breaker.State }

func (e *plainEngine) New(string) breaker.Breaker {
	b := &plainBreaker{}
	e.made = append(e.made, b)
	return b
}

func (b *plainBreaker) State() breaker.State { return b.state }

func (b *plainBreaker) TryAcquire(time.Time) (breaker.Permit, time.Duration, bool) {
	if b.state == breaker.Open {
		return breaker.Permit{}, time.Second, false
	}
	return breaker.NewPermit(b, 0), 0, true
}

func (b *plainBreaker) Settle(_ uint64, r breaker.Report) {
	if r.Result == breaker.Failure {
		b.state = breaker.Open
	}
}

// TestEngines: state and configuration of each kind of breaker there can be.
func TestEngines(t *testing.T) {
	t.Parallel()
	rule := func(r resilience.RuleSettings) *resilience.RuleSettings { return &r }
	type facts struct {
		enabled, open               bool
		volume, percent, sleep, cut uint32
	}
	for _, row := range []struct {
		name          string
		cfg           config
		service, node facts // after failures enough to open whatever opens
	}{
		{
			"the ejector, and no breaker above it",
			config{Nodes: addrs(3), Settings: sets{AttemptTimeout: 250 * tick, Timeout: 2 * time.Second}},
			facts{cut: 2000},
			facts{enabled: true, open: true, percent: 33, sleep: 1000, cut: 250},
		},
		{
			"its thresholds set",
			config{Nodes: addrs(3), Settings: sets{Ejection: resilience.EjectionSettings{Excess: .2}, Breaker: resilience.BreakerSettings{OpenFor: 3 * time.Second}}},
			facts{},
			facts{enabled: true, open: true, percent: 20, sleep: 3000},
		},
		{
			"the ejector off",
			config{Nodes: addrs(3), Settings: sets{Ejection: resilience.EjectionSettings{Off: true}}},
			facts{},
			facts{percent: 33, sleep: 1000},
		},
		{"one node", config{Nodes: addrs(1)}, facts{}, facts{percent: 33, sleep: 1000}},
		{"cusum", config{Nodes: addrs(1), Settings: sets{ServiceBreaker: rule(resilience.RuleSettings{})}}, facts{enabled: true, open: true, percent: 50, sleep: 1000}, facts{percent: 33, sleep: 1000}},
		{"consecutive", config{Nodes: addrs(1), Settings: sets{ServiceBreaker: rule(resilience.RuleSettings{Rule: "consecutive", N: 4})}}, facts{enabled: true, open: true, volume: 4, percent: 100, sleep: 1000}, facts{percent: 33, sleep: 1000}},
		{"rate", config{Nodes: addrs(1), Settings: sets{ServiceBreaker: rule(resilience.RuleSettings{Rule: "rate", MinCalls: 9, Threshold: .3})}}, facts{enabled: true, open: true, volume: 9, percent: 30, sleep: 1000}, facts{percent: 33, sleep: 1000}},
		{"count", config{Nodes: addrs(1), Settings: sets{ServiceBreaker: rule(resilience.RuleSettings{Rule: "count"})}}, facts{enabled: true, open: true, volume: 20, percent: 50, sleep: 1000}, facts{percent: 33, sleep: 1000}},
		{"an engine that tells little", config{Nodes: addrs(2), Engine: &plainEngine{}, ServiceEngine: &plainEngine{}}, facts{enabled: true, open: true}, facts{enabled: true, open: true}},
		{"an engine that tells all", config{Nodes: addrs(2)}, facts{enabled: true, open: true, volume: 50, percent: 2, sleep: 70_000}, facts{enabled: true, open: true, volume: 3, percent: 40, sleep: 70_000}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			bench := resiliencetest.New(1)
			b := newBoard(t, Config{})
			row.cfg.Service = "s"
			row.cfg.Attempts = 1
			if row.node.volume > 0 {
				engine := func(calls int, threshold float64) breaker.Engine {
					family, err := breaker.NewFamily(breaker.Config{Rule: breaker.Rate{MinCalls: calls, Threshold: threshold}, OpenFor: 70 * time.Second, Clock: bench.Clock()})
					if err != nil {
						t.Fatal(err)
					}
					return family
				}
				row.cfg.Engine, row.cfg.ServiceEngine = engine(3, .4), engine(50, .02)
			}
			c := benchClient(t, bench, b, row.cfg)
			ill := "10.0.0.1:8080"
			bench.Run(func() {
				for range 400 {
					_ = c.Do(context.Background(), resilience.Safe("m"), func(_ context.Context, n *selector.Node) error {
						if n.Addr == ill {
							return errOp
						}
						return nil
					})
					bench.Sleep(20 * tick)
				}
			})
			if tripper, ok := c.ServiceBreaker().(breaker.Tripper); ok && row.node.volume > 0 {
				tripper.Trip(breaker.Reason{Cause: breaker.ByHand}) // the ill node's own opened first
			}
			all, _ := commands(t, b)
			for name, want := range map[string]facts{"s": row.service, "s/" + ill: row.node} {
				c := all[name]
				got := facts{
					c.CircuitBreakerEnabled, c.CircuitBreakerOpen, c.CircuitBreakerRequestVolumeThreshold,
					c.CircuitBreakerErrorThresholdPercent, c.CircuitBreakerSleepWindow, c.ExecutionIsolationThreadTimeout,
				}
				if got != want {
					t.Errorf("%s: got %+v, want %+v", name, got, want)
				}
			}
		})
	}
}

// TestGobreaker: sony's engine for the nodes and for the service.
func TestGobreaker(t *testing.T) {
	t.Parallel()
	engine := func(timeout time.Duration) breaker.Engine {
		e, err := gobreaker.NewEngine(gobreaker.Config{Settings: sony.Settings{Timeout: timeout}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	b := newBoard(t, Config{})
	c := realClient(t, b, config{
		Service: "s", Nodes: addrs(2), Engine: engine(7 * time.Minute), ServiceEngine: engine(9 * time.Minute),
		Settings: sets{Attempts: 1, Strategy: "round-robin"},
	})
	for range 14 {
		_ = c.Do(t.Context(), resilience.Safe("m"), func(_ context.Context, n *selector.Node) error { return errOp })
	}
	all, _ := commands(t, b)
	for name, sleep := range map[string]uint32{"s": 540_000, "s/10.0.0.1:8080": 420_000} {
		got := all[name]
		open := name == "s" // the nodes have failed three times each by then
		if got.CircuitBreakerOpen != open || !got.CircuitBreakerEnabled || got.CircuitBreakerSleepWindow != sleep ||
			got.CircuitBreakerRequestVolumeThreshold != 6 || got.CircuitBreakerErrorThresholdPercent != 100 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := b.State().Services[0].Calls; got.Latency.Count != 6 {
		t.Errorf("%+v, want the six that were made", got)
	}
}

// TestConverted: what becomes of a state, field by field.
func TestConverted(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123)
	st := State{At: at, Services: []Service{{
		Name: "s", InFlight: 3, Peak: 5, Settings: &sets{Bulkhead: 8},
		Calls: Window{
			Total: 100, Succeeded: 40, Answered: 10, Failed: 15, TimedOut: 12, Rejected: 8, ShortCircuited: 6, Abandoned: 9, FellBack: 4, FallbackFailed: 2,
			Latency: Latency{Mean: 7.9, Min: .1, P25: 2.5, P50: 5, P75: 7, P90: 9, P95: 11, P99: 20, P995: 30, Max: 40},
		},
		Nodes: []Node{{
			ID: "n", Ejected: true, InFlight: 2, Breaker: &Breaker{State: "closed"},
			Attempts: Window{Total: 7, Failed: 7},
		}},
	}}}
	all, pools := decoded(t, frame(st))
	got := []any{all["s"], pools["s"], all["s/n"]}
	latency := hystrixLatency{0, 2, 5, 7, 9, 11, 20, 30, 40}
	want := []any{
		hystrixCommand{
			Type: "HystrixCommand", Name: "s", Group: "s", Time: 1_700_000_000_123, ReportingHosts: 1,
			RequestCount: 100, ErrorCount: 41, ErrorPct: 41,
			RollingCountBadRequests: 10, RollingCountExceptionsThrown: 37, RollingCountFailure: 15, RollingCountFallbackFailure: 2,
			RollingCountFallbackSuccess: 4, RollingCountShortCircuited: 6, RollingCountSuccess: 40, RollingCountThreadPoolRejected: 8,
			RollingCountTimeout: 12, CurrentConcurrentExecutionCount: 3,
			LatencyExecuteMean: 7, LatencyExecute: latency, LatencyTotalMean: 7, LatencyTotal: latency,
			ExecutionIsolationStrategy: "THREAD", ExecutionIsolationSemaphoreMaxConcurrentRequests: 8, RollingStatsWindow: 10_000,
		},
		hystrixPool{
			Type: "HystrixThreadPool", Name: "s", ReportingHosts: 1, CurrentActiveCount: 3,
			CurrentCorePoolSize: 8, CurrentLargestPoolSize: 8, CurrentMaximumPoolSize: 8, CurrentPoolSize: 8,
			RollingMaxActiveThreads: 5, RollingCountThreadsExecuted: 86, RollingStatsWindow: 10_000,
		},
		hystrixCommand{
			Type: "HystrixCommand", Name: "s/n", Group: "s", Time: 1_700_000_000_123, ReportingHosts: 1,
			RequestCount: 7, ErrorCount: 7, ErrorPct: 100, CircuitBreakerOpen: true,
			RollingCountFailure: 7, CurrentConcurrentExecutionCount: 2,
			ExecutionIsolationStrategy: "THREAD", ExecutionIsolationThreadPoolKeyOverride: "s",
			ExecutionIsolationThreadInterruptOnTimeout: true, CircuitBreakerErrorThresholdPercent: 33, RollingStatsWindow: 10_000,
		},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// TestInFlight: calls within the bulkhead, and attempts where there is none; the
// most of them is remembered for ten seconds.
func TestInFlight(t *testing.T) {
	t.Parallel()
	for _, bulkhead := range []int{0, 5} {
		bench := resiliencetest.New(1)
		bench.Node("a", steps(fails(resilience.NotSent), reply{After: 100 * tick}))
		b := newBoard(t, Config{})
		c := benchClient(t, bench, b, config{Service: "s", Settings: sets{Bulkhead: bulkhead, Backoff: resilience.BackoffSettings{Initial: time.Second, Max: time.Second}}})
		look := func() (now, most int) { sv := b.State().Services[0]; return sv.InFlight, sv.Peak }
		pausing := 0 // within the bulkhead, and no attempt
		if bulkhead > 0 {
			pausing = 1
		}
		var retrying bool
		bench.Run(func() {
			bench.Go(func() { _ = c.Do(context.Background(), resilience.Safe("m"), bench.Op) })
			bench.Sleep(tick)
			if now, _ := look(); now != pausing {
				t.Errorf("bulkhead %d: %d in flight in the pause, want %d", bulkhead, now, pausing)
			}
			for !retrying && bench.Elapsed() < 2*time.Second {
				bench.Sleep(10 * tick)
				now, _ := look()
				retrying = bench.Attempts("a") > 1
				if retrying && now != 1 {
					t.Errorf("bulkhead %d: %d in flight at the retry, want 1", bulkhead, now)
				}
			}
			bench.Sleep(5 * time.Second)
			if now, most := look(); now != 0 || most != 1 {
				t.Errorf("bulkhead %d: %d in flight, and at most %d, some seconds later", bulkhead, now, most)
			}
			bench.Sleep(10 * time.Second)
			if now, most := look(); now != 0 || most != 0 {
				t.Errorf("bulkhead %d: %d in flight, and at most %d, long after", bulkhead, now, most)
			}
		})
		if !retrying {
			t.Error("there was no retry")
		}
	}
}

// TestFarewell: what is no longer there is shown empty for ten seconds, so that
// no dashboard keeps its last figures.
func TestFarewell(t *testing.T) {
	t.Parallel()
	busy := func(services ...Service) State {
		for i := range services {
			services[i].Calls.Total = 100
			for j := range services[i].Nodes {
				services[i].Nodes[j] = Node{ID: services[i].Nodes[j].ID, Ejected: true, Attempts: Window{Total: 50}}
			}
		}
		return State{Services: services}
	}
	f := make(farewells)
	f.frame(hystrixEvents(busy(Service{Name: "s", Nodes: []Node{{ID: "a"}, {ID: "b"}}}, Service{Name: "x"})))
	for second := range 12 {
		all, pools := decoded(t, f.frame(hystrixEvents(busy(Service{Name: "s", Nodes: []Node{{ID: "a"}}}))))
		if got := all["s/a"]; got.RequestCount != 50 || all["s"].RequestCount != 100 || pools["s"].RollingCountThreadsExecuted != 100 {
			t.Errorf("second %d: what is still there: %+v", second, got)
		}
		for name, group := range map[string]string{"s/b": "s", "x": "x"} {
			got, shown := all[name]
			if want := second < 10; shown != want {
				t.Errorf("second %d: %s is shown: %v, want %v", second, name, shown, want)
			}
			if shown && (got.Group != group || got.RequestCount != 0 || got.CircuitBreakerOpen) {
				t.Errorf("second %d: %+v", second, got)
			}
		}
		if _, shown := pools["x"]; shown != (second < 10) || len(pools) > 2 {
			t.Errorf("second %d: pools %v", second, pools)
		}
	}
	if len(f) != 2 {
		t.Errorf("%d names are remembered, want the 2 there are", len(f))
	}
	all, _ := decoded(t, f.frame(hystrixEvents(busy(Service{Name: "s", Nodes: []Node{{ID: "a"}, {ID: "b"}}}))))
	if all["s/b"].RequestCount != 50 {
		t.Errorf("back again: %+v", all["s/b"])
	}
}

// TestForced: what a hand has done to the service breaker is shown, and so are
// new settings.
func TestForced(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{})
	c := realClient(t, b, config{Service: "s", Settings: sets{Bulkhead: 3, ServiceBreaker: &resilience.RuleSettings{}}})
	circuit := c.ServiceBreaker().(*breaker.Circuit)
	look := func() hystrixCommand { all, _ := commands(t, b); return all["s"] }
	if got := look(); got.CircuitBreakerForceOpen || got.CircuitBreakerForceClosed || got.CircuitBreakerOpen {
		t.Errorf("%+v", got)
	}
	circuit.Force(breaker.ForcedOpen, "")
	if got := look(); !got.CircuitBreakerForceOpen || got.CircuitBreakerForceClosed || !got.CircuitBreakerOpen {
		t.Errorf("forced open: %+v", got)
	}
	circuit.Force(breaker.ForcedClosed, "")
	if got := look(); got.CircuitBreakerForceOpen || !got.CircuitBreakerForceClosed || got.CircuitBreakerOpen {
		t.Errorf("forced closed: %+v", got)
	}
	circuit.Force(breaker.Auto, "")
	circuit.SetShadow(true)
	if got := look(); !got.CircuitBreakerForceClosed {
		t.Errorf("in shadow mode: %+v", got)
	}
	if err := c.Update(sets{Bulkhead: 9, Timeout: time.Second}); err != nil {
		t.Fatal(err)
	}
	if got := look(); got.CircuitBreakerEnabled || got.ExecutionIsolationSemaphoreMaxConcurrentRequests != 9 || got.ExecutionIsolationThreadTimeout != 1000 {
		t.Errorf("updated: %+v", got)
	}
}

// TestNames that would be written into the dashboard's page as they are.
func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"users":                             "users",
		"":                                  "empty",
		"größe 7/a.b:80":                    "größe 7/a.b:80",
		`<script>alert("x")</script>`:       "_script_alert(_x_)_/script_",
		"a\nb\x00c\\d'e`f&g":                "a_b_c_d_e_f_g",
		"\xff\xfe":                          "__",
		strings.Repeat("ä", maxLabel):       strings.Repeat("ä", maxLabel/2),
		"x" + strings.Repeat("ä", maxLabel): "x" + strings.Repeat("ä", maxLabel/2-1),
	} {
		if got := label(name, "empty"); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
	seen := make(names)
	var got []string
	for _, name := range []string{"a", "a", "a~2", "a", "b"} {
		got = append(got, seen.unique(name))
	}
	if want := []string{"a", "a~2", "a~2~2", "a~3", "b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

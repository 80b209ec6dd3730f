package tune

import (
	"math"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/trace"
	"github.com/holdfast-go/holdfast/breaker"
)

// stream is the attempts of a client at a node, in the order of their ends:
// what that client's ejector sees of the node.
type stream struct {
	node int32
	list []int32 // indices into the set
}

// measurement is Facts in the making.
type measurement struct {
	set     *trace.Set
	f       *Facts
	streams []*stream
	begin   int64
	slot    int64    // ns: what is masked is masked by the slot
	slots   int      //
	masked  [][]bool // by node and slot
	burst   int64
	counted []bool    // by attempt: a failure that is the first of its burst
	normal  []float64 // by node: the share that fails
}

// Measure works the facts out of a trace.
func Measure(set *trace.Set, source string) *Facts {
	m := &measurement{set: set, f: &Facts{
		Source: source, Span: set.Span(), Clients: len(set.Clients), Nodes: len(set.Nodes), Dispersion: 1, BurstMean: 1,
		Lost: set.Lost, Broken: len(set.Broken), Incidents: []Incident{}, Methods: []Method{},
	}}
	m.split()
	if m.f.Calls == 0 {
		return m.f
	}
	m.burst = int64(usualBurst)
	m.count()
	m.mask()
	m.measureBursts() // those of an incident are none
	m.count()
	m.mask()
	m.rates()
	m.follow()
	m.disperse()
	m.latencies()
	return m.f
}

// split makes the streams, and measures the traffic.
func (m *measurement) split() {
	pairs := make(map[[2]int32]*stream)
	weight := make(map[[2]int32]float64)
	m.begin = math.MaxInt64
	for i := range m.set.Attempts {
		a := &m.set.Attempts[i]
		m.begin = min(m.begin, a.Start)
		if a.Node < 0 {
			continue
		}
		key := [2]int32{a.Client, a.Node}
		s := pairs[key]
		if s == nil {
			s = &stream{node: a.Node}
			pairs[key], m.streams = s, append(m.streams, s)
		}
		s.list = append(s.list, int32(i))
		weight[key] += float64(a.Calls)
		m.f.Calls += float64(a.Calls)
	}
	seconds := m.f.Span.Seconds()
	if seconds <= 0 {
		return
	}
	m.f.Rate = m.f.Calls / seconds
	var counts []float64
	for _, n := range weight {
		counts = append(counts, n)
	}
	m.f.PairCalls = trace.Quantile(counts, .1)
	m.f.PairRate, m.f.PairMedian = m.f.PairCalls/seconds, trace.Quantile(counts, .5)/seconds
}

// windows are the candidates for Ejection.Burst.
var windows = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond,
}

const usualBurst = 10 * time.Millisecond // the default of Ejection.Burst

// isMasked reports whether an attempt at a node is part of an incident.
func (m *measurement) isMasked(a *trace.Attempt) bool {
	return m.masked != nil && m.masked[a.Node][m.slotOf(a)]
}

func (m *measurement) slotOf(a *trace.Attempt) int {
	return min(int((a.End()-m.begin)/m.slot), m.slots-1)
}

// measureBursts finds how long bursts are: of the attempts that were under way
// when a failure ended, and ended within w of it, more fail than usual. The
// shortest w that holds nearly all of that excess is taken.
func (m *measurement) measureBursts() {
	var all, failed float64
	for i := range m.set.Attempts {
		if a := &m.set.Attempts[i]; a.Node >= 0 && !m.isMasked(a) {
			all += float64(a.Calls)
			if a.Result == breaker.Failure {
				failed++
			}
		}
	}
	p := failed / max(all, 1)
	near, fails := make([]float64, len(windows)), make([]float64, len(windows))
	longest := int64(windows[len(windows)-1])
	for _, s := range m.streams {
		last := int64(-1)
		for _, i := range s.list {
			a := &m.set.Attempts[i]
			if m.isMasked(a) {
				continue
			}
			gap := a.End() - last
			under := last >= 0 && a.Start <= last && gap <= longest
			if under {
				for w := range windows {
					if gap > int64(windows[w]) {
						continue
					}
					near[w] += float64(a.Calls)
					if a.Result == breaker.Failure {
						fails[w]++
					}
				}
			}
			if a.Result == breaker.Failure && !under {
				last = a.End()
			}
		}
	}
	excess := make([]float64, len(windows))
	for w := range windows {
		excess[w] = fails[w] - p*near[w]
	}
	most := slices.Max(excess)
	last := len(windows) - 1
	m.f.Bursty = most > 5 && fails[last] > 3*p*near[last]
	m.f.Burst = usualBurst
	if m.f.Bursty {
		for w := range windows {
			if excess[w] >= .95*most {
				m.f.Burst = max(windows[w], time.Millisecond)
				break
			}
		}
	}
	m.burst = int64(m.f.Burst)
}

// count tells which failures the ejector would count: the first of each burst.
func (m *measurement) count() {
	m.counted = make([]bool, len(m.set.Attempts))
	var failures, bursts float64
	for _, s := range m.streams {
		last := int64(-1 << 62)
		for _, i := range s.list {
			a := &m.set.Attempts[i]
			if a.Result != breaker.Failure {
				continue
			}
			masked := m.isMasked(a)
			if !masked {
				failures++
			}
			if a.Start <= last && a.End()-last < m.burst {
				continue
			}
			last = a.End()
			m.counted[i] = true
			if !masked {
				bursts++
			}
		}
	}
	if bursts > 0 {
		m.f.BurstMean = failures / bursts
	}
}

// says reports whether an attempt says something about its node, and in which
// slot it ended.
func (m *measurement) says(i int32) (a *trace.Attempt, slot int, failed, ok bool) {
	a = &m.set.Attempts[i]
	slot = m.slotOf(a)
	failed = m.counted[i]
	ok = a.Node >= 0 && (a.Result == breaker.Success || failed)
	return a, slot, failed, ok
}

// sure is how unlikely a node's failures have to be at the rate of all for the
// node to be taken to be worse than the others.
const sure = .05

// rates measures how often healthy nodes fail.
func (m *measurement) rates() {
	var k, n, left float64
	byNode := make([]Rate, len(m.set.Nodes))
	byMethod := make([]Rate, len(m.set.Methods))
	for i := range m.set.Attempts {
		a, slot, failed, ok := m.says(int32(i))
		if !ok {
			continue
		}
		if m.masked[a.Node][slot] {
			left += float64(a.Calls)
			continue
		}
		calls := float64(a.Calls)
		n += calls
		byNode[a.Node].Calls += calls
		byMethod[a.Method].Calls += calls
		if failed {
			k++
			byNode[a.Node].Failures++
			byMethod[a.Method].Failures++
		}
	}
	m.f.Normal = rateOf(k, n)
	m.f.Masked = left / max(n+left, 1)
	m.normal = make([]float64, len(byNode))
	m.f.Worst = NodeRate{"any", m.f.Normal}
	for i, r := range byNode {
		if r.Calls == 0 {
			continue
		}
		m.normal[i] = m.f.Normal.Value
		if poissonTail(int(r.Failures), r.Calls*m.f.Normal.Value) > sure/float64(len(byNode)) {
			continue // it is like the others, or better
		}
		if r = rateOf(r.Failures, r.Calls); r.High > m.f.Worst.High {
			m.f.Worst = NodeRate{m.set.Nodes[i], r}
		}
		m.normal[i] = r.Value
	}
	for i, r := range byMethod {
		if r.Calls > 0 {
			m.f.Methods = append(m.f.Methods, Method{Name: m.set.Methods[i], Share: r.Calls / n, Rate: r.Failures / r.Calls})
		}
	}
	slices.SortStableFunc(m.f.Methods, func(a, b Method) int { return int(math.Copysign(1, b.Share-a.Share)) })
}

// lags are the ends of the ranges that Follow is measured in.
var lags = [...]int{1, 2, 4, 8, 16, 32}

// follow measures what comes after a failure: after one that came alone, and
// after one that had followed another itself. A burst that was cut in two is
// over after that.
func (m *measurement) follow() {
	var calls, failures, expected [2][len(lags)]float64
	last := float64(lags[len(lags)-1])
	for _, s := range m.streams {
		since, order := math.Inf(1), 0
		for _, i := range s.list {
			a, slot, failed, ok := m.says(i)
			if !ok || m.masked[a.Node][slot] {
				continue
			}
			for k, end := range lags {
				if since < float64(end) {
					calls[order][k] += float64(a.Calls)
					expected[order][k] += float64(a.Calls) * m.normal[a.Node]
					if failed {
						failures[order][k]++
					}
					break
				}
			}
			if failed {
				order = 0
				if since < last {
					order = 1
				}
				since = 0
				continue
			}
			since += float64(a.Calls)
		}
	}
	m.f.Follow = m.follows(calls[0], failures[0], expected[0])
	m.f.Again = m.follows(calls[1], failures[1], expected[1])
}

// follows is the rates, where they are higher than expected for sure.
func (m *measurement) follows(calls, failures, expected [len(lags)]float64) (list []float64) {
	used := 0
	for k, end := range lags {
		rate := m.f.Worst.High
		if x := expected[k]; failures[k] > x+3*math.Sqrt(x)+1 {
			rate = max(rate, failures[k]/calls[k])
			used = end
		}
		for len(list) < end {
			list = append(list, rate)
		}
	}
	return list[:used]
}

// stretch is over how many calls the dispersion is measured: about as many as
// the ejector looks at.
const stretch = 100

// disperse measures the dispersion: the variance over the mean of the failures
// in stretches of a client's calls at a node. It is 1 for independent ones, and
// taken to be no less.
func (m *measurement) disperse() {
	var squares, fourth, expected, blocks float64
	for _, s := range m.streams {
		var calls, k float64
		for _, i := range s.list {
			a, slot, failed, ok := m.says(i)
			if !ok || m.masked[a.Node][slot] {
				continue
			}
			calls += float64(a.Calls)
			if failed {
				k++
			}
			if calls >= stretch {
				x := calls * m.normal[a.Node]
				square := (k - x) * (k - x)
				squares, fourth, expected, blocks = squares+square, fourth+square*square, expected+x, blocks+1
				calls, k = 0, 0
			}
		}
	}
	if blocks >= 30 && expected > 0 {
		m.f.Dispersion = max(1, squares/expected/m.f.explained())
		m.f.DispersionError = math.Sqrt(max(0, fourth-squares*squares/blocks)) / expected / m.f.explained()
	}
}

// latencies sums up the attempts that did not fail.
func (m *measurement) latencies() {
	var list []int64
	for i := range m.set.Attempts {
		a, slot, failed, ok := m.says(int32(i))
		if ok && !failed && !m.masked[a.Node][slot] && a.Latency > 0 {
			list = append(list, a.Latency)
		}
	}
	m.f.Latency = latencyOf(list)
}

// latencyOf sums up latencies; it sorts them.
func latencyOf(list []int64) Latency {
	l := Latency{Calls: len(list)}
	if len(list) == 0 {
		return l
	}
	at := func(q float64) time.Duration { return time.Duration(trace.Quantile(list, q)) }
	l.P50, l.P99, l.P999 = at(.5), at(.99), at(.999)
	for i := range 201 {
		l.Sample = append(l.Sample, at(float64(i)/200))
	}
	n := float64(len(list))
	for _, q := range []float64{.99, .995, .999} {
		// The order statistic that is above the quantile with 95 %.
		if i := math.Ceil(n*q + z95*math.Sqrt(n*q*(1-q))); i < n {
			l.Tail, l.Bound = q, time.Duration(list[int(i)])
		}
	}
	return l
}

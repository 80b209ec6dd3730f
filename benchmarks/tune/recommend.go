package tune

import (
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// What the formulae take for granted, and Steps print.
const (
	enoughTail   = 1000 // attempts that a latency's tail takes
	enoughPair   = 10   // attempts of a client at a node, at a tenth of the pairs
	leastNormal  = .005 // below this failures are seldom independent
	clearOf      = 4    // times that broken is above normal
	readmitted   = .05  // of the nodes that are still broken
	margin       = 3    // between what is tolerated and what is promised: failures are not quite independent
	probeShare   = .01  // of a node's calls that may be probes while it is dead
	usualShare   = .2   // Budget.Share
	usualMaximum = .5   // Ejection.MaxShare
)

// refuse says what is missing, if something is.
func refuse(f *Facts, w Wishes) error {
	var e TooLittleError
	hopeless := false
	never := func(format string, args ...any) {
		e.Lacks, hopeless = append(e.Lacks, fmt.Sprintf(format, args...)), true
	}
	lack := func(more float64, format string, args ...any) {
		e.Lacks = append(e.Lacks, fmt.Sprintf(format, args...))
		e.More = max(e.More, more)
	}
	if f.Nodes < 2 {
		never("%d nodes: a node is ejected for doing worse than others (one address: see Settings.ServiceBreaker)", f.Nodes)
	}
	if f.Given {
		if f.Worst.High*clearOf > w.Broken {
			never("%s of the calls fail at a healthy node: broken has to be %d times that, and is %s", percent(f.Worst.High), clearOf, percent(w.Broken))
		}
		return e.orNil()
	}
	if f.Calls == 0 {
		never("no attempts at nodes")
		return &e
	}
	target := w.Broken / clearOf
	switch need := callsFor(f.Worst.Value, target); {
	case math.IsInf(need, 1):
		never("%s of the calls fail at a healthy node (%s) when nothing seems wrong: broken has to be %d times that, and is %s",
			percent(f.Worst.Value), f.Worst.Node, clearOf, percent(w.Broken))
	case f.Worst.High > target:
		lack(need/f.Worst.Calls, "a healthy node (%s) may fail up to %s of its calls (95 %%, %.0f calls); to tell that from %s takes %.0f calls",
			f.Worst.Node, percent(f.Worst.High), f.Worst.Calls, percent(w.Broken), need)
	}
	if f.PairCalls < enoughPair {
		lack(enoughPair/max(f.PairCalls, 1), "a tenth of the clients made %.0f calls or fewer at some node; at least %d are needed for their rate", f.PairCalls, enoughPair)
	}
	if f.Latency.Calls < enoughTail {
		lack(enoughTail/float64(max(f.Latency.Calls, 1)), "%d latencies; at least %d are needed for their 99th percentile", f.Latency.Calls, enoughTail)
	}
	if hopeless {
		e.More = 0
	}
	return e.orNil()
}

func (e *TooLittleError) orNil() error {
	if len(e.Lacks) == 0 {
		return nil
	}
	return e
}

// Recommend works out settings: the present ones, with other thresholds. It fails with a [*TooLittleError] if the facts
// do not carry it.
func Recommend(f *Facts, w Wishes, present resilience.Settings) (*Recommendation, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	w = w.withDefaults()
	if err := refuse(f, w); err != nil {
		return nil, err
	}
	if w.Spare == 0 {
		w.Spare = f.Spare
	}
	r := &Recommendation{Facts: f, Wishes: w, Settings: present} // what is not worked out stays
	r.Settings.Ejection.Off = false
	r.timeout()
	r.ejection()
	r.comeback()
	r.capacity()
	r.present = present
	r.promise()
	r.unknown()
	return r, nil
}

// promise is what is promised of the settings, and of the present ones.
func (r *Recommendation) promise() {
	r.Promise = r.predict(r.Facts, r.Wishes, r.Settings)
	r.Present = r.predict(r.Facts, r.Wishes, r.present)
}

// predict is Predict, with the false ejections as many times as the simulation
// had of what the formula says.
func (r *Recommendation) predict(f *Facts, w Wishes, s resilience.Settings) Promise {
	p := Predict(f, w, s)
	if r.Refined != nil {
		p.False *= Number(r.Refined.Ratio)
	}
	return p
}

func (r *Recommendation) step(field, value, formula, with string, args ...any) {
	r.Steps = append(r.Steps, Step{Field: field, Value: value, Formula: formula, With: fmt.Sprintf(with, args...)})
}

// ejection is thresholds: what is normal, what is broken, and how sure to be.
func (r *Recommendation) ejection() {
	f, e := r.Facts, &r.Settings.Ejection
	cut := f.cutBy(r.Settings)
	e.Burst = f.Burst
	e.Baseline = min(roundUp(max(f.Worst.High+cut, leastNormal)), .5)
	r.step("ejection.baseline", percent(e.Baseline), "p0 = the 95 % bound of the failure rate of healthy nodes, of the worst if one differs for sure, and what the attempt timeout cuts for nothing; at least 0.5 %",
		"%s + %s; %s at %s", percent(f.Worst.High), percent(cut), f.Worst.measured(), f.Worst.Node)
	r.thresholds()
	if f.Bursty {
		r.step("ejection.burst", spell(e.Burst), "the time in which 95 % of what fails together does", "%.1f failures in a burst", f.BurstMean)
	} else {
		r.step("ejection.burst", spell(e.Burst), "the default: no more failures fall together than chance explains", "%.2f failures in a burst", f.BurstMean)
	}
}

// thresholds are FalseAlarm and Excess: of the pairs that keep the promise, the
// one with which a broken node goes soonest. The best Δ for the score alone is
// what broken is above normal; the comparison with the peers, to whom no more
// is believed than they have shown, is quicker with less.
func (r *Recommendation) thresholds() {
	f, w, e := r.Facts, r.Wishes, &r.Settings.Ejection
	calls, p, target := f.Rate*w.Per.Seconds(), f.Worst.High+f.cutBy(r.Settings), w.FalseEjections/margin
	most := min((w.Broken-e.Baseline)/(1-e.Baseline), .9)
	best, soonest := *e, math.Inf(1)
	for part := 10; part >= 2; part-- {
		e.Excess = max(round(most*float64(part)/10, 3), .01)
		i := sort.Search(len(alarms), func(i int) bool {
			e.FalseAlarm = alarms[i]
			return f.falseEjections(w, *e, p) <= target
		})
		e.FalseAlarm = alarms[min(i, len(alarms)-1)]
		if t := float64(Predict(f, w, r.Settings).Time.P99); t < .995*soonest {
			best, soonest = *e, t
		}
	}
	*e = best
	h, page := math.Log(e.FalseAlarm), f.Dispersion*math.Log(max(calls/w.FalseEjections, 1))
	r.step("ejection.falseAlarm", fmt.Sprintf("%.2g", e.FalseAlarm),
		"e^h, with the least h at which (calls in the time) · p · P(a window that begins with a failure ejects)^(1/φ) ≤ a third of what is tolerated",
		"%.3g calls in %s, p = %s, φ = %.2f, %g tolerated: h = %.1f; Page's bound e^h on the calls between two looks would alone ask for h = %.1f",
		calls, spell(w.Per), percent(p), f.Dispersion, w.FalseEjections, h, page)
	r.step("ejection.excess", fmt.Sprint(e.Excess), "Δ = (q − p0) / (1 − p0), at most 0.9, or the part of it (0.2 to 1) that ejects soonest in 99 of 100",
		"(%.4g − %.4g) / (1 − %.4g) × %.1f", w.Broken, e.Baseline, e.Baseline, e.Excess/most)
}

// alarms are the values of FalseAlarm that are considered.
var alarms = func() (list []float64) {
	for i := range 53 {
		list = append(list, round(math.Pow(10, 2+float64(i)/4), 2))
	}
	return list
}()

// timeout is the attempt's.
func (r *Recommendation) timeout() {
	f := r.Facts
	if f.Latency.Bound == 0 {
		return
	}
	r.Settings.AttemptTimeout = roundTime(max(2*f.Latency.Bound, time.Millisecond))
	r.step("attemptTimeout", spell(r.Settings.AttemptTimeout), "twice the 95 % bound of a high quantile of the latency: less than the rest is cut for nothing, also when all are a little slower",
		"quantile %g of %d attempts: at most %s", f.Latency.Tail, f.Latency.Calls, spell(f.Latency.Bound))
}

// comeback is when and how an ejected node is tried again.
func (r *Recommendation) comeback() {
	f, w, b := r.Facts, r.Wishes, &r.Settings.Breaker
	longest := time.Duration(min(1/(probeShare*f.PairRate), 60) * float64(time.Second))
	b.OpenMax = roundTime(max(longest, 5*time.Second))
	b.OpenFor = min(time.Second, b.OpenMax)
	r.step("breaker.openMax", spell(b.OpenMax), "1 / (1 % · λ), 5 s to 60 s: of the calls that a dead node would get, one in a hundred is a probe",
		"λ = %.3g calls a second of a client at a node", f.PairRate)
	r.step("breaker.openFor", spell(b.OpenFor), "1 s: a restart takes longer, a false ejection costs no more; doubles up to openMax", "")
	b.Probes = 1
	if w.Broken < 1 {
		b.Probes = min(int(math.Ceil(math.Log(readmitted)/math.Log(1-w.Broken))), 10)
	}
	r.step("breaker.probes", fmt.Sprint(b.Probes), "the least k with (1 − q)^k ≤ 5 %, at most 10: a node that is still broken comes back so seldom",
		"(1 − %.4g)^%d = %s", w.Broken, b.Probes, percent(math.Pow(1-w.Broken, float64(b.Probes))))
	if t := r.Settings.AttemptTimeout; 2*t > 10*time.Second {
		b.ProbeTimeout = 2 * t
		r.step("breaker.probeTimeout", spell(b.ProbeTimeout), "2 × attemptTimeout, at least the default of 10 s", "")
	}
}

// capacity is what retries and ejections may take.
func (r *Recommendation) capacity() {
	w, n := r.Wishes, float64(r.Facts.Nodes)
	share, most := usualShare, usualMaximum
	if w.Spare > 0 {
		share = max(min(usualShare, floor(w.Spare/4, 2)), .01)
		most = min(usualMaximum, floor(1-(1+share)/(1+w.Spare), 2))
		most = max(most, floor(1/n, 2), .01) // one can always go
		r.step("budget.share", fmt.Sprint(share), "r = a quarter of the spare capacity, at most 0.2", "spare %s", percent(w.Spare))
		r.step("ejection.maxShare", fmt.Sprint(most), "1 − (1 + r) / (1 + spare), at most 0.5, at least one node: the others still carry it all",
			"1 − %.3g / %.3g, %d nodes", 1+share, 1+w.Spare, r.Facts.Nodes)
	} else {
		r.step("budget.share", fmt.Sprint(share), "the default: the spare capacity is not known", "")
		r.step("ejection.maxShare", fmt.Sprint(most), "the default: the spare capacity is not known", "")
	}
	r.Settings.Budget.Share, r.Settings.Ejection.MaxShare = share, most
}

// unknown is what the data cannot tell.
func (r *Recommendation) unknown() {
	f, w := r.Facts, r.Wishes
	say := func(format string, args ...any) { r.Unknown = append(r.Unknown, fmt.Sprintf(format, args...)) }
	if f.Given {
		say("Nothing was measured: all of this is as right as the description.")
	} else {
		say("A trace says how nodes fared under the calls that they got, not how they would fare under others: retries and ejections change the load, and a node near its limits answers differently then.")
		if f.Span < w.Per {
			say("The trace covers %s, the promise %s: what happens less often than that is not in it.", spell(f.Span), spell(w.Per))
		}
		if len(f.Incidents) > 0 {
			say("Incidents (%d, %s of the calls) are taken not to be normal. If they are, false ejections will be more.", len(f.Incidents), percent(f.Masked))
		}
		if f.Lost > 0 || f.Broken > 0 {
			say("%d attempts and the ends of %d files are missing, most likely from the worst moments.", f.Lost, f.Broken)
		}
	}
	if w.Spare == 0 {
		say("The spare capacity is not in the data: say it by -spare, for the retry budget and the cap on ejections.")
	}
	say("The promise is about failures that are independent once bursts are counted as one; nodes that are ill together for a moment break it. The report measures by how much.")
	say("Attempts that time out are as broken as the timeout says: an attempt timeout below what the trace was recorded with makes failures of what is a success there.")
}

// Predict is what the formulae say of settings.
func Predict(f *Facts, w Wishes, s resilience.Settings) Promise {
	w = w.withDefaults()
	e := s.Ejection
	orElse(&e.FalseAlarm, 1e6)
	orElse(&e.Excess, 1./3)
	orElse(&e.Baseline, .02)
	orElse(&e.Burst, usualBurst)
	p := Promise{Settings: s}
	never := Tail{Mean: inf(), P50: inf(), P99: inf()}
	if e.Off {
		p.Calls, p.Time, p.Impossible = never, never, "ejection is off"
		return p
	}
	cut := f.cutBy(s)
	x := f.ejector(e, w.Broken, f.Normal.Value*f.BurstMean+cut) // peers are counted raw
	if e.Burst > 0 {
		// A failure is not counted if another ended shortly before, while it
		// was under way.
		overlap := min(e.Burst, f.Latency.P50).Seconds()
		x.thin = 1 / (1 + f.PairRate*w.Broken*overlap)
	}
	p.False = Number(f.falseEjections(w, e, f.Worst.High+cut))
	a, c := x.weights()
	p.Bound = Number(f.Rate * w.Per.Seconds() * math.Exp(-exponent(f.Worst.High+cut, a, c)*math.Log(e.FalseAlarm)/f.Dispersion))
	if q, _ := x.observed(); q*a-(1-q)*c <= 0 {
		p.Calls, p.Time = never, never
		p.Impossible = fmt.Sprintf("at %s the score falls: its successes take away more than its failures add", percent(w.Broken))
		return p
	}
	at := x.passage()
	p.Calls = x.calls(at)
	p.Time = x.times(at, f.PairRate, f.Latency.P99.Seconds())
	// What the peers show varies, and the tail is where they show most.
	x.unlucky = 1
	x.p += 2 * math.Sqrt(x.p*f.variance()/(peerMemory*x.nodePeers()))
	at = x.passage()
	p.Calls.P99 = x.calls(at).P99
	p.Time.P99 = x.times(at, f.PairRate, f.Latency.P99.Seconds()).P99
	return p
}

// ejector is the one of settings (with their defaults filled in) at a node that
// fails with probability q while its peers fail with probability p.
func (f *Facts) ejector(e resilience.EjectionSettings, q, p float64) ejector {
	h := math.Log(e.FalseAlarm)
	x := ejector{
		q: q, p: p, peers: f.Nodes - 1, shares: f.shares(),
		excess: e.Excess, baseline: e.Baseline, look: h, contrast: h / 2, thin: 1,
	}
	if x.peers >= 4 {
		x.contrast = h * 2 / 3
	}
	return x
}

// falseEjections are those to expect in Wishes.Per where nodes fail with
// probability p, at most.
func (f *Facts) falseEjections(w Wishes, e resilience.EjectionSettings, p float64) float64 {
	if p <= 0 {
		return 0
	}
	x := f.ejector(e, p, 0)
	for _, rate := range f.Follow {
		x.follow = append(x.follow, max(rate, p))
	}
	for _, rate := range f.Again {
		x.again = append(x.again, max(rate, p))
	}
	calls := f.Rate * w.Per.Seconds()
	return calls * p * math.Pow(x.falseRate()/p, 1/f.Dispersion)
}

// cutBy is the share of the attempts at healthy nodes that settings cut, which
// the ejector takes for failures. Beyond the quantiles that the data have, the
// tail is taken to be Pareto's through the last two of them.
func (f *Facts) cutBy(s resilience.Settings) float64 {
	l := f.Latency
	if s.AttemptTimeout <= 0 || len(l.Sample) == 0 {
		return 0
	}
	over := 0
	for _, d := range l.Sample {
		if d > s.AttemptTimeout {
			over++
		}
	}
	// Some of the highest are beyond the 99th percentile: not told apart.
	if p := float64(over) / float64(len(l.Sample)); p > .01 || l.Tail == 0 {
		return max(p, .005)
	}
	last, slope := max(l.Bound, l.P99), 2.
	if l.Tail > .99 && last > l.P99 {
		slope = math.Log(.01/(1-l.Tail)) / math.Log(float64(last)/float64(l.P99))
	}
	return min((1-l.Tail)*math.Pow(float64(s.AttemptTimeout)/float64(last), -slope), .01)
}

// measured is the rate with what it was measured from.
func (r Rate) measured() string {
	if r.Calls == 0 {
		return percent(r.Value) + " as described"
	}
	return fmt.Sprintf("%.0f bursts in %.0f calls: %s", r.Failures, r.Calls, percent(r.Value))
}

func inf() Number { return Number(math.Inf(1)) }

// peerMemory is over how many of a peer's calls the ejector remembers.
const peerMemory = 64

// variance is by how much that of the failures in a stretch of calls exceeds
// that of independent ones, one by one.
func (f *Facts) variance() float64 { return f.explained() * f.Dispersion * f.BurstMean }

// varianceError is its standard error.
func (f *Facts) varianceError() float64 { return f.explained() * f.DispersionError * f.BurstMean }

// explained is that part of the dispersion that Follow is.
func (f *Facts) explained() float64 {
	sum := 1.
	for _, p := range f.Follow {
		sum += 2 * max(0, p-f.Normal.Value)
	}
	return sum
}

// shares are the methods'.
func (f *Facts) shares() (list []float64) {
	for _, m := range f.methods() {
		list = append(list, m.Share)
	}
	if len(list) == 0 {
		return []float64{1}
	}
	return list
}

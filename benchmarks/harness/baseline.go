package harness

// Baseline is what some of the metrics were in the warm-up without its first
// third, by their keys: those that do not depend on how long it was watched.
func (r *Run) Baseline() map[string]float64 {
	from, to := r.Plan.Warm/3, r.Plan.Warm
	h := r.Latencies(from, to)
	b := map[string]float64{}
	if h.TotalCount() > 0 {
		b["p50Ms"], b["p99Ms"], b["p999Ms"] = quantileMs(h, 50), quantileMs(h, 99), quantileMs(h, 99.9)
	}
	attempts, due := 0, 0
	for _, rec := range r.Records {
		if at := r.At(rec.At); rec.Kind == Begun && at >= from && at < to {
			attempts++
		}
	}
	for i := range r.Shots {
		if s := &r.Shots[i]; s.Due >= from && s.Due < to {
			due++
		}
	}
	if due > 0 {
		b["amplification"] = float64(attempts) / float64(due)
	}
	return b
}

// BaselineKeys are the metrics of which there is a [Run.Baseline].
var BaselineKeys = []string{"amplification", "p50Ms", "p99Ms", "p999Ms"}

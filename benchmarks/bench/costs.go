package bench

import "time"

// costs is what runs take of the CPUs: what others like them took, or else a
// guess by their load. The zero value is ready to use.
type costs struct {
	pairs  map[[2]string]*cost // by scenario and stack
	stacks map[string]*cost    // measured, and the guesses for the same runs
}

// cost is what runs took.
type cost struct {
	cpu, guess, wall time.Duration
	runs             int
}

// around is what a run takes besides its load: processes start, come to rest,
// and end.
const around = time.Second

// What starting a process takes, and a request with all that belongs to it, in
// CPU time: measured with the stack holdfast.
const (
	perProcess = 30 * time.Millisecond
	perRequest = 800 * time.Microsecond
)

// guess is what the job would take with an ordinary stack.
func (j *job) guess() time.Duration {
	p := j.plan
	requests := p.Rate * p.Total().Seconds()
	for _, s := range p.Surges {
		requests += p.Rate * (s.Times - 1) * (s.To - s.From).Seconds()
	}
	return time.Duration(p.Nodes+p.Processes)*perProcess + time.Duration(requests*float64(perRequest))
}

func (j *job) pair() [2]string { return [2]string{j.scenario.Name, j.stack.Name()} }

// add has what a run took.
func (c *costs) add(j *job, cpu, wall time.Duration) {
	if c.pairs == nil {
		c.pairs, c.stacks = map[[2]string]*cost{}, map[string]*cost{}
	}
	pair, stack := at(c.pairs, j.pair()), at(c.stacks, j.stack.Name())
	for _, x := range []*cost{pair, stack} {
		x.cpu, x.guess, x.wall, x.runs = x.cpu+cpu, x.guess+j.guess(), x.wall+wall, x.runs+1
	}
}

func at[K comparable](m map[K]*cost, key K) *cost {
	if m[key] == nil {
		m[key] = &cost{}
	}
	return m[key]
}

// of is what a run of the job will take.
func (c *costs) of(j *job) cost {
	if p := c.pairs[j.pair()]; p != nil {
		n := time.Duration(p.runs)
		return cost{cpu: p.cpu / n, wall: p.wall / n}
	}
	x := cost{cpu: j.guess(), wall: j.plan.Total() + around}
	if s := c.stacks[j.stack.Name()]; s != nil {
		x.cpu = time.Duration(float64(x.cpu) * float64(s.cpu) / float64(s.guess))
	}
	return x
}

// cpus is how many of them are busy with it, on average.
func (x cost) cpus() float64 { return float64(x.cpu) / float64(x.wall) }

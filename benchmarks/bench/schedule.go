package bench

import (
	"slices"
	"time"
)

// schedule says which run is next, so that those under way keep a share of the
// CPUs busy and no more:
//
//   - Each run counts for what others like it took of the CPUs: see [costs].
//     One that takes half of the room has it all.
//   - The rounds are the seeds, so that what else goes on on the machine hits
//     all stacks alike. Within a round the first that there is room for is
//     next: what needs all of it comes last.
//   - One run starts at a time: many processes that start at once would make
//     everybody late.
//   - A run that was not valid is repeated when the others are over: as if it
//     took twice as much, and from the second time on alone. The next seeds of
//     the same scenario and stack count twice from the beginning.
//   - Where runs beside others are not valid, the room shrinks for all, and
//     grows back as others are.
//
// It is not safe for concurrent use.
type schedule struct {
	cpus   float64   // to keep busy
	most   int       // runs at once
	ease   float64   // the share of cpus that is used
	eased  time.Time // when it was made smaller
	last   int       // the last round but for repeats
	costs  costs
	queue  []*job // in the order of their rounds
	now    map[*job]*place
	heavy  map[[2]string]bool // by scenario and stack: one was not valid
	busy   *job               // it is starting; nil: none is
	starts time.Duration      // how long one takes to start, lately
}

// place is what a job under way has.
type place struct {
	weight float64
	since  time.Time
	alone  bool // all the time
}

const (
	mostAtOnce = 64
	tighter    = 0.8  // of the room, after a run beside others that was not valid; once for those that were under way together
	wider      = 1.01 // after one that was: of eight at once, they balance when one in twenty is not
	tightest   = 0.3
)

func newSchedule(cpus float64, most int, jobs []*job) *schedule {
	if most == 0 {
		most = mostAtOnce
	}
	s := &schedule{cpus: cpus, most: most, ease: 1, starts: starting, now: map[*job]*place{}, heavy: map[[2]string]bool{}}
	for _, j := range jobs {
		round := int(j.plan.Seed)
		s.last = max(s.last, round)
		s.add(j, round)
	}
	return s
}

func (s *schedule) add(j *job, round int) {
	j.round = round
	i, _ := slices.BinarySearchFunc(s.queue, round+1, func(j *job, r int) int { return j.round - r })
	s.queue = slices.Insert(s.queue, i, j)
}

// weight is the part of the room that a job gets: 1 is all.
func (s *schedule) weight(j *job) float64 {
	w := max(s.costs.of(j).cpus()/(s.cpus*s.ease), 1/float64(s.most))
	if s.heavy[j.pair()] {
		w *= 2
	}
	if w >= 0.5 && s.most > 2 || w > 1 || j.again > 1 {
		return 1
	}
	return w
}

// next takes the next job; nil: there is no room now, or nothing to do.
func (s *schedule) next(now time.Time) *job {
	if s.busy != nil {
		return nil
	}
	room := 1 + 1e-9
	for _, p := range s.now {
		room -= p.weight
	}
	for i, j := range s.queue {
		if j.round != s.queue[0].round {
			break
		}
		w := s.weight(j)
		if w > room && len(s.now) > 0 {
			continue
		}
		s.queue = slices.Delete(s.queue, i, i+1)
		s.now[j] = &place{weight: w, since: now}
		for _, p := range s.now {
			p.alone = len(s.now) == 1
		}
		s.busy = j
		return j
	}
	return nil
}

// started says that the job's processes have.
func (s *schedule) started(j *job, now time.Time) {
	if s.busy == j {
		s.busy = nil
		s.starts += (now.Sub(s.now[j].since) - s.starts) / 8
	}
}

// end says that the job has ended, and whether it was valid. cpu is 0 where it
// is not known.
func (s *schedule) end(j *job, now time.Time, cpu time.Duration, valid bool) {
	s.started(j, now)
	p := s.now[j]
	delete(s.now, j)
	if cpu > 0 {
		s.costs.add(j, cpu, now.Sub(p.since))
	}
	if !valid {
		s.heavy[j.pair()] = true
	}
	switch {
	case p.alone:
	case valid:
		s.ease = min(s.ease*wider, 1)
	case !p.since.Before(s.eased):
		s.ease, s.eased = max(s.ease*tighter, tightest), now
	}
}

// repeat puts a job that has ended behind the others.
func (s *schedule) repeat(j *job) {
	j.again++
	s.add(j, s.last+j.again)
}

const (
	starting = 400 * time.Millisecond // what a run is expected to take to start
	gaps     = 1.15                   // how much longer all takes than if the room were always full and no run repeated
)

// left is how long what there is to do will take.
func (s *schedule) left(now time.Time) time.Duration {
	var work, longest time.Duration
	count := func(wall time.Duration, weight float64) {
		longest = max(longest, wall)
		work += time.Duration(float64(wall) * weight)
	}
	for _, j := range s.queue {
		count(s.costs.of(j).wall, s.weight(j))
	}
	for j, p := range s.now {
		count(max(0, s.costs.of(j).wall-now.Sub(p.since)), p.weight)
	}
	return max(longest+time.Duration(len(s.queue))*s.starts, time.Duration(float64(work)*gaps))
}

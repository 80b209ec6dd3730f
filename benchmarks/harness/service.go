package harness

import (
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Service is what a hello instance is made of.
type Service struct {
	Mean    time.Duration `json:"meanNs"`            // service time
	CV      float64       `json:"cv,omitempty"`      // its coefficient of variation; log-normal; 0: always Mean
	Workers int           `json:"workers,omitempty"` // requests served at once; 0: no bound
	Queue   int           `json:"queue,omitempty"`   // requests that wait for a worker; more are answered "overloaded"
	Seed    uint64        `json:"seed,omitempty"`    // of service times and of what illness hits
}

// chance is a source of randomness that is the same for the same attempt on
// the same node, whatever came before: so equal seeds give every stack the
// same luck.
func (s Service) chance(what string, req Request, node string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, what+" "+req.ID+" "+node)
	return rand.New(rand.NewPCG(s.Seed, h.Sum64()+uint64(req.Attempt)))
}

// draw returns the service time of an attempt.
func (s Service) draw(req Request, node string) time.Duration {
	return s.at(s.chance("work", req, node).NormFloat64())
}

// at returns the service time that is so many standard deviations from the
// mean of its logarithm.
func (s Service) at(z float64) time.Duration {
	sigma2 := math.Log(1 + s.CV*s.CV)
	return time.Duration(float64(s.Mean) * math.Exp(z*math.Sqrt(sigma2)-sigma2/2))
}

// spread returns the middles of equally likely parts of the distribution, in
// order.
func (s Service) spread() []time.Duration {
	list := make([]time.Duration, 500)
	for i := range list {
		p := (float64(i) + 0.5) / float64(len(list))
		list[i] = s.at(math.Sqrt2 * math.Erfinv(2*p-1))
	}
	return list
}

// queue is a bounded number of workers before a bounded queue, first in first
// out. The zero queue is unbounded.
type queue struct {
	mu      sync.Mutex
	bounded bool
	workers int // that there are now
	busy    int
	room    int // of waiting
	waiting []chan struct{}
}

func newQueue(s Service) queue {
	return queue{bounded: s.Workers > 0, workers: s.Workers, room: s.Queue}
}

// enter waits for a worker; false: there is no room to wait.
func (q *queue) enter() bool {
	q.mu.Lock()
	if !q.bounded || q.busy < q.workers {
		q.busy++
		q.mu.Unlock()
		return true
	}
	if len(q.waiting) >= q.room {
		q.mu.Unlock()
		return false
	}
	turn := make(chan struct{})
	q.waiting = append(q.waiting, turn)
	q.mu.Unlock()
	<-turn
	return true
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
	q.admit()
}

// resize changes the number of workers. Those who are at work go on.
func (q *queue) resize(workers int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.workers = workers
	q.admit()
}

// admit needs mu.
func (q *queue) admit() {
	for len(q.waiting) > 0 && q.busy < q.workers {
		q.busy++
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
	}
}

func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy == 0
}

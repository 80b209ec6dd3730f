package idempotency

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Mode is what stands between request and effect.
type Mode string

// The modes.
const (
	SQL    Mode = "sql"   // PostgreSQL, with key and effect in one transaction; two servers
	Redis  Mode = "redis" // Redis with appendfsync always; the effect is elsewhere; three servers
	NoKeys Mode = "none"  // no keys; three servers
)

// Modes are all of them.
var Modes = []Mode{SQL, Redis, NoKeys}

// Config describes a run.
type Config struct {
	Mode     Mode
	Requests int // 100 to 10 000 000
	Clients  int // requests at a time, 1 to 1000
	Kills    int // at each of the three points; as many replies are dropped, and a third as many servers frozen; 1 to 1000

	Lease   time.Duration // of a key; default 2 s
	Attempt time.Duration // after which an attempt is cut; default 500 ms
	Freeze  time.Duration // how long a server hangs; default 3 s: longer than both
	Work    time.Duration // of an effect; default 2 ms

	// Exe is the program that serves when it is given ServerCommand.
	Exe string

	// Progress is told what has happened so far. Nil: nobody is.
	Progress func(Report)
}

// Validate returns all that is wrong, joined.
func (c Config) Validate() error {
	var errs []error
	if !slices.Contains(Modes, c.Mode) {
		errs = append(errs, fmt.Errorf("mode %q: want one of %q", c.Mode, Modes))
	}
	for _, n := range []struct {
		name               string
		value, least, most int
	}{{"requests", c.Requests, 100, 10_000_000}, {"clients", c.Clients, 1, 1000}, {"kills", c.Kills, 1, 1000}} {
		if n.value < n.least || n.value > n.most {
			errs = append(errs, fmt.Errorf("%s %d: want %d to %d", n.name, n.value, n.least, n.most))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Lease, 2 * time.Second}, {&c.Attempt, 500 * time.Millisecond}, {&c.Freeze, 3 * time.Second}, {&c.Work, 2 * time.Millisecond}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// servers is how many processes serve.
func (c Config) servers() int {
	if c.Mode == SQL {
		return 2
	}
	return 3
}

// Report is what a run has come to.
type Report struct {
	Mode     Mode `json:"mode"`
	Requests int  `json:"requests"`

	// What the client knows.
	Acknowledged int `json:"acknowledged"`
	Failed       int `json:"failed"`
	InDoubt      int `json:"inDoubt"` // of the failed, those that were reported ambiguous
	Repeated     int `json:"attemptsRepeated"`
	Replayed     int `json:"repliesReplayed"`

	// What the servers' database or ledgers know.
	Effects    int `json:"effects"`
	Lost       int `json:"lost"`        // acknowledged, and there is no effect
	Duplicated int `json:"duplicated"`  // effects too many
	Ghosts     int `json:"ghosts"`      // failed, and there is an effect
	Open       int `json:"openAtKills"` // requests that had come to a server, and were not done with when it was killed

	// What was done to them.
	Hits     map[Point]int `json:"failPointsHit"`
	Frozen   int           `json:"serversFrozen"`
	Restarts int           `json:"storeRestarts"`

	Took     time.Duration `json:"took"`               // in ns
	Failures []string      `json:"failures,omitempty"` // the first few, in words
}

// Judge returns what the run has not kept of the promise, and what it did not
// put to the test.
func (r *Report) Judge() (broken []string) {
	say := func(ok bool, format string, args ...any) {
		if !ok {
			broken = append(broken, string(r.Mode)+": "+fmt.Sprintf(format, args...))
		}
	}
	say(r.Lost == 0, "%d lost", r.Lost)
	say(r.Duplicated == 0, "%d duplicated", r.Duplicated)
	say(r.Acknowledged+r.Failed == r.Requests, "%d acknowledged and %d failed of %d", r.Acknowledged, r.Failed, r.Requests)
	switch r.Mode {
	case SQL:
		say(r.Failed == 0, "%d failed", r.Failed)
	case Redis:
		say(r.Failed <= r.Open, "%d failed, and %d executions were open at the kills", r.Failed, r.Open)
		fallthrough
	case NoKeys:
		say(r.InDoubt == r.Failed, "%d failed, and only %d were reported ambiguous", r.Failed, r.InDoubt)
	}

	points := []Point{Before, Between, After, Drop}
	for _, p := range points {
		say(r.Hits[p] > 0, "vacuous: nothing failed at the point %q", p)
	}
	say(r.Frozen > 0, "vacuous: no server was frozen")
	say(r.Repeated > 0, "vacuous: no attempt was repeated")
	if r.Mode != NoKeys {
		say(r.Replayed > 0, "vacuous: no answer was replayed")
		say(r.Restarts > 0, "vacuous: the store was not restarted")
	}
	return broken
}

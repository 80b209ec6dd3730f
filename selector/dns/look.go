package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/selector"
)

const (
	maxLinks   = 8                // of a chain of CNAMEs
	maxTargets = 1024             // of a service that are asked about
	maxNodes   = 16384            // that are made of the answers: one has room for thousands
	maxPause   = 30 * time.Second // before a question that has failed is asked again
)

// book is what is known of the names that matter, each for its time.
type book struct {
	ask               func(context.Context, question) (message, error)
	clk               clock.Clock
	shortest, longest time.Duration

	name  string // of the host or of the service
	srv   bool
	port  uint16
	kinds []uint16 // of addresses

	known map[question]*page
	used  map[question]*page // by the look that is under way
	down  error              // why no further question is asked in it
}

// page is the answer to one question.
type page struct {
	records  []record  // of the kind that was asked for
	until    time.Time // when to ask again
	failures int       // since the last answer
	err      error     // why there are none, or none newer
}

// look asks what has expired. It returns the nodes there are, from what is
// known, when to look again, and what went wrong.
func (b *book) look(ctx context.Context) (nodes []selector.Node, wait time.Duration, err error) {
	b.used, b.down = make(map[question]*page), nil
	var errs []error
	if b.srv {
		nodes, errs = b.service(ctx)
	} else {
		var addrs []record
		addrs, errs = b.addresses(ctx, b.name)
		for _, r := range addrs {
			nodes = append(nodes, selector.Node{Addr: hostPort(r.addr, b.port)})
		}
	}
	if len(nodes) > 0 { // names that have addresses of one family only are as good as any
		errs = slices.DeleteFunc(errs, isNotFound)
	}
	if len(nodes) == 0 && len(errs) == 0 { // targets that are no use, or "."
		errs = append(errs, notFound(b.name))
	}
	b.known = b.used
	slices.SortFunc(nodes, func(a, b selector.Node) int { return strings.Compare(a.ID+a.Addr, b.ID+b.Addr) })
	nodes = slices.CompactFunc(nodes, func(a, b selector.Node) bool { return a.ID == b.ID && a.Addr == b.Addr })
	now := b.clk.Now()
	wait = b.longest
	for _, p := range b.known {
		wait = min(wait, p.until.Sub(now))
	}
	return nodes, max(wait, minInterval), errors.Join(distinct(errs)...)
}

// distinct leaves out what was said before: one silent server fails many
// questions.
func distinct(errs []error) (list []error) {
	for _, err := range errs {
		if !slices.ContainsFunc(list, func(e error) bool { return e.Error() == err.Error() }) {
			list = append(list, err)
		}
	}
	return list
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

func hostPort(addr netip.Addr, port uint16) string {
	return net.JoinHostPort(addr.String(), strconv.Itoa(int(port)))
}

// addresses are those of a name.
func (b *book) addresses(ctx context.Context, name string) (list []record, errs []error) {
	for _, kind := range b.kinds {
		p := b.read(ctx, question{name, kind}, nil)
		list = append(list, p.records...)
		if p.err != nil {
			errs = append(errs, p.err)
		}
	}
	return list, errs
}

// service are the instances of a service: RFC 2782.
func (b *book) service(ctx context.Context) (nodes []selector.Node, errs []error) {
	var extra []record
	p := b.read(ctx, question{b.name, typeSRV}, &extra)
	if p.err != nil {
		errs = append(errs, p.err)
	}
	targets := preferred(p.records)
	if len(targets) > maxTargets {
		errs = append(errs, fmt.Errorf("dns: %s has %d targets: the first %d are used", b.name, len(targets), maxTargets))
		targets = targets[:maxTargets]
	}
	b.glue(targets, extra)
	heaviest := uint16(0)
	for _, t := range targets {
		heaviest = max(heaviest, t.weight)
	}
	for _, t := range targets {
		addrs, problems := b.addresses(ctx, t.target)
		if len(addrs) > 0 {
			problems = slices.DeleteFunc(problems, isNotFound)
		}
		errs = append(errs, problems...)
		if len(nodes)+len(addrs) > maxNodes {
			return nodes, append(errs, fmt.Errorf("dns: %s has more than %d nodes: the first %d are used", b.name, maxNodes, len(nodes)))
		}
		for _, a := range addrs {
			addr := hostPort(a.addr, t.port)
			host := strings.TrimSuffix(t.target, ".")
			nodes = append(nodes, selector.Node{
				ID:   net.JoinHostPort(host, strconv.Itoa(int(t.port))) + "/" + a.addr.String(),
				Addr: addr, Weight: weight(t.weight, heaviest),
				Meta: map[string]string{"target": host},
			})
		}
	}
	return nodes, errs
}

// preferred are the targets of the lowest priority, in an order that does not
// change. The target "." says that there is none.
func preferred(records []record) (targets []record) {
	for _, r := range records {
		if r.target == "." || r.port == 0 || checkName(r.target) != nil {
			continue
		}
		if len(targets) > 0 && r.priority < targets[0].priority {
			targets = targets[:0]
		}
		if len(targets) == 0 || r.priority == targets[0].priority {
			targets = append(targets, r)
		}
	}
	slices.SortFunc(targets, func(a, b record) int { return strings.Compare(a.target, b.target) })
	return targets
}

// weight is a node's for a record's. A weight of 0 means "hardly ever" beside
// others, and nothing where all are 0; a node's would mean 1.
func weight(w, heaviest uint16) int {
	if heaviest == 0 {
		return 1
	}
	return max(10*int(w), 1)
}

// glue keeps the targets' addresses that came with a service's answer.
func (b *book) glue(targets, extra []record) {
	for _, r := range extra {
		if !slices.Contains(b.kinds, r.kind) || !slices.ContainsFunc(targets, func(t record) bool { return t.target == r.name }) {
			continue
		}
		q := question{r.name, r.kind}
		p := b.used[q]
		if p == nil {
			p = new(page)
			b.used[q] = p
		}
		p.records = append(p.records, r)
		p.until = b.expiry(shortestTTL(p.records))
	}
}

// read returns what is known of a question, and asks it if that has expired.
// Then extra, if not nil, is given the answer's additional records.
func (b *book) read(ctx context.Context, q question, extra *[]record) *page {
	if p := b.used[q]; p != nil {
		return p
	}
	p := b.known[q]
	now := b.clk.Now()
	if p == nil || !now.Before(p.until) {
		p = b.turn(ctx, q, p, extra)
	}
	b.used[q] = p
	return p
}

// turn asks a question and returns its new page; what is on the old one stays
// if there is no answer.
func (b *book) turn(ctx context.Context, q question, old *page, extra *[]record) *page {
	if old == nil {
		old = new(page)
	}
	var found answer
	err := b.down
	if err == nil {
		found, err = b.resolve(ctx, q)
	}
	if err != nil {
		var e *net.DNSError
		if errors.As(err, &e) && e.IsTimeout {
			b.down = err // the next one would wait as long
		}
		p := &page{records: old.records, failures: old.failures + 1, err: err}
		pause := min(b.shortest<<min(old.failures, 16), max(maxPause, b.shortest), b.longest)
		p.until = b.clk.Now().Add(pause/2 + clock.Jitter(b.clk, pause/2))
		return p
	}
	p := &page{records: found.records, until: b.expiry(found.ttl)}
	if len(found.records) == 0 {
		p.err = notFound(q.name)
	}
	if extra != nil {
		*extra = found.extra
	}
	return p
}

// expiry is when an answer is asked for again.
func (b *book) expiry(ttl time.Duration) time.Time {
	ttl = min(max(ttl, b.shortest), b.longest)
	return b.clk.Now().Add(ttl + clock.Jitter(b.clk, ttl/10))
}

// answer is a question's, its chain of names followed.
type answer struct {
	records []record
	ttl     time.Duration
	extra   []record
}

func (b *book) resolve(ctx context.Context, q question) (answer, error) {
	name, ttl := q.name, time.Duration(1<<31)*time.Second
	for range maxLinks {
		m, err := b.ask(ctx, question{name, q.kind})
		if err != nil {
			return answer{}, err
		}
		next, links := follow(m.answers, name)
		for _, r := range links {
			ttl = min(ttl, seconds(r.ttl))
		}
		var found []record
		for _, r := range m.answers {
			if r.name == next && r.kind == q.kind {
				found = append(found, r)
			}
		}
		switch {
		case len(found) > 0:
			return answer{found, min(ttl, shortestTTL(found)), m.extra}, nil
		case next == name || m.code == codeNoName: // there is none
			return answer{ttl: min(ttl, negativeTTL(m.authority))}, nil
		}
		name = next // the server did not follow the chain
	}
	return answer{}, &net.DNSError{Err: "too many CNAMEs", Name: q.name, IsTemporary: true}
}

// follow returns where the CNAMEs of an answer lead from a name, and those it
// went along.
func follow(answers []record, name string) (last string, links []record) {
	for range maxLinks {
		i := slices.IndexFunc(answers, func(r record) bool { return r.kind == typeCNAME && r.name == name })
		if i < 0 {
			break
		}
		links = append(links, answers[i])
		name = answers[i].target
	}
	return name, links
}

func shortestTTL(records []record) time.Duration {
	ttl := records[0].ttl
	for _, r := range records {
		ttl = min(ttl, r.ttl)
	}
	return seconds(ttl)
}

// negativeTTL is how long "there is none" holds: RFC 2308 §5. Nothing is said:
// not at all.
func negativeTTL(authority []record) time.Duration {
	for _, r := range authority {
		if r.kind == typeSOA {
			return seconds(min(r.ttl, r.minimum))
		}
	}
	return 0
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }

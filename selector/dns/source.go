// Package dns takes a client's nodes from DNS: the addresses of a name, or the
// instances of a service (SRV), with their weights. It looks again when what it
// knows expires, which net.Resolver does not tell, and keeps the last good set
// when DNS fails.
//
//	client, err := resilience.New(resilience.Config{
//		Nodes: &dns.Source{Host: "users.example.com", Port: 8080},
//	})
//
// It is a stub resolver of its own, of the standard library alone: it asks
// recursive servers (those of /etc/resolv.conf, or Source.Servers) by UDP, and
// by TCP what does not fit. Names are absolute: neither the search list nor
// /etc/hosts is looked at.
package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/selector/internal/news"
)

// Source is a set of nodes that DNS tells. Each address is a node.
//
// By Host, a node's ID is its address and port. By SRV, it is the target's name
// and port and the address, so that a machine that takes over another's address
// is not taken for it; the weights are the records', and only the targets of
// the lowest priority are used: the others are meant for when those are gone,
// and would take their share of the calls here (RFC 2782).
//
// Every answer is asked for again when its TTL is over, up to a tenth later so
// that clients do not ask in step. An answer that fails (no server answers, or
// only by SERVFAIL or REFUSED) is asked for again after Shortest, then twice as
// late and so on up to 30 s; what was known before stays in use. That there is
// nothing (NXDOMAIN, or a name without such records) holds as long as the
// zone says (RFC 2308), and does not empty the set either: an address or target
// goes when another is there. Each problem is reported once, not at every
// look.
//
// The fields are read by Watch and must not be changed after it. One Source
// serves one client.
type Source struct {
	// Host is a name whose addresses are the nodes, such as
	// "users.example.com", and Port where they listen. Either it or SRV is
	// required.
	Host string
	Port int

	// SRV is the name of a service, such as "_http._tcp.users.example.com":
	// RFC 2782.
	SRV string

	// Network is "ip" for IPv4 and IPv6, "ip4" or "ip6" for one of them.
	// Default "ip".
	Network string

	// Servers are the recursive servers to ask, in this order, as "host:port".
	// Nil: those of /etc/resolv.conf, which is read at each look.
	Servers []string

	// Timeout is how long one server may take to answer; each is asked twice.
	// At least 1 ms, default 2 s.
	Timeout time.Duration

	// Shortest and Longest bound the time between two looks at an answer,
	// whatever its TTL: at least 10 ms. Default 1 s and 5 min.
	Shortest, Longest time.Duration

	// StartEmpty lets the client begin without nodes when the first look finds
	// none; calls fail with selector.ErrNoNodes until a later one does. By
	// default Watch, and with it New, fails then.
	StartEmpty bool

	// Clock is time and goroutines; nil: the real ones.
	Clock clock.Clock

	answers func(context.Context, question) (message, error) // for tests: in place of servers

	desk news.Desk
	book *book // belongs to the look that is under way; there is one at a time
}

var _ selector.Source = (*Source)(nil)

const (
	defaultTimeout  = 2 * time.Second
	defaultShortest = time.Second
	defaultLongest  = 5 * time.Minute
	minInterval     = 10 * time.Millisecond
	minTimeout      = time.Millisecond
)

// Validate returns all that is wrong with the fields, joined.
func (s *Source) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("dns: "+format, args...))
		}
	}
	name := s.Host
	switch {
	case s.Host == "" && s.SRV == "":
		check(false, "host: want a name, or srv")
	case s.Host != "" && s.SRV != "":
		check(false, "srv %q: want none beside host %q", s.SRV, s.Host)
	case s.SRV != "":
		name = s.SRV
		check(s.Port == 0, "port %d: want none beside srv, whose records have it", s.Port)
	default:
		check(s.Port > 0 && s.Port < 1<<16, "port %d: want 1 to 65535", s.Port)
		_, err := netip.ParseAddr(s.Host)
		check(err != nil, "host %q: want a name; for addresses there is selector.Addrs", s.Host)
	}
	if name != "" {
		if err := checkName(name); err != nil {
			errs = append(errs, fmt.Errorf("dns: %w", err))
		}
	}
	check(slices.Contains([]string{"", "ip", "ip4", "ip6"}, s.Network), "network %q: want ip, ip4 or ip6", s.Network)
	for i, server := range s.Servers {
		host, port, err := net.SplitHostPort(server)
		check(err == nil && host != "" && port != "", "servers[%d] %q: want host:port", i, server)
	}
	check(s.Servers == nil || len(s.Servers) > 0, "servers: want at least one, or nil")
	check(s.Timeout == 0 || s.Timeout >= minTimeout, "timeout %v: want at least %v (0: default %v)", s.Timeout, minTimeout, defaultTimeout)
	check(s.Shortest == 0 || s.Shortest >= minInterval, "shortest %v: want at least %v (0: default %v)", s.Shortest, minInterval, defaultShortest)
	shortest := cmp.Or(s.Shortest, defaultShortest)
	check(cmp.Or(s.Longest, max(defaultLongest, shortest)) >= shortest, "longest %v: want at least shortest, %v (0: default %v)", s.Longest, shortest, defaultLongest)
	return errors.Join(errs...)
}

// Watch implements [selector.Source]: it returns when the first look is over.
// It fails when a field is out of range, when it was called before, and, unless
// StartEmpty, when the look finds no node.
func (s *Source) Watch(report func([]selector.Node, error)) error {
	if err := s.Validate(); err != nil {
		return err
	}
	ctx, clk, err := s.desk.Open(s.Clock, report)
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	s.book = s.newBook(clk)
	nodes, wait, err := s.book.look(ctx)
	if len(nodes) == 0 && !s.StartEmpty {
		return errors.Join(err, s.Close())
	}
	s.desk.Tell(nodes, err)
	s.desk.Later(wait, func() { s.again(ctx) })
	return nil
}

// newBook makes what is known of nothing yet.
func (s *Source) newBook(clk clock.Clock) *book {
	servers := func() []string { return systemServers(resolvConf) }
	if s.Servers != nil {
		list := slices.Clone(s.Servers)
		servers = func() []string { return list }
	}
	shortest := cmp.Or(s.Shortest, defaultShortest)
	b := &book{
		ask: (&resolver{clk: clk, servers: servers, timeout: cmp.Or(s.Timeout, defaultTimeout)}).ask,
		clk: clk, shortest: shortest, longest: cmp.Or(s.Longest, max(defaultLongest, shortest)),
		srv: s.SRV != "", port: uint16(s.Port), //nolint:gosec // validated
		known: make(map[question]*page),
	}
	if s.answers != nil {
		b.ask = s.answers
	}
	b.name = strings.ToLower(strings.TrimSuffix(s.Host+s.SRV, ".")) + "."
	if s.Network != "ip6" {
		b.kinds = append(b.kinds, typeA)
	}
	if s.Network != "ip4" {
		b.kinds = append(b.kinds, typeAAAA)
	}
	return b
}

// Close implements [selector.Source]. It ends a look that is under way without
// waiting for it; it may be called from a report.
func (s *Source) Close() error {
	s.desk.Close()
	return nil
}

func (s *Source) again(ctx context.Context) {
	nodes, wait, err := s.book.look(ctx)
	if ctx.Err() != nil {
		return
	}
	s.desk.Tell(nodes, err)
	s.desk.Later(wait, func() { s.again(ctx) })
}

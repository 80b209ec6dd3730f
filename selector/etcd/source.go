// Package etcd takes a client's nodes from etcd: every key below a prefix is
// one. It keeps watching through disconnects, compactions and restarts, and
// keeps the last good set when etcd goes away.
//
//	source := &etcd.Source{Client: client, Prefix: "/services/users/"}
//	users, err := resilience.New(resilience.Config{Nodes: source})
package etcd

import (
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/selector/internal/news"
)

// Source is a set of nodes that etcd keeps: each key below Prefix is a node.
//
// Changes are seen as they happen, by a watch that asks for a leader, so that a
// member that is cut off from the others does not go unnoticed. Besides, all is
// listed again every Resync: that ends a watch that has stopped to tell anything,
// because the connection is dead without a word or etcd was restored from an
// older backup.
//
// A key that is removed takes its node out; the last one does not, for an empty
// set is not believed. A key whose value cannot be read leaves its node as it
// was, and the others alone. While etcd is away, everything stays as it was.
// Each problem is reported once.
//
// The fields are read by Watch and must not be changed after it. One Source
// serves one client.
type Source struct {
	// Client is the connection; it is not closed by the Source. Required.
	Client *clientv3.Client

	// Prefix is what the keys begin with. End it with the separator, or
	// "/services/users" also means "/services/users-v2/1". Required.
	Prefix string

	// Parse makes a node of a key, which is given without the prefix, and its
	// value. A node without an ID gets the key as its own. Nil: [Parse].
	Parse func(key string, value []byte) (selector.Node, error)

	// Timeout is how long a list of all keys may take. At least 10 ms, default
	// 5 s.
	Timeout time.Duration

	// Resync is the time between two lists of all keys, give or take a tenth;
	// at least 100 ms, default 5 min.
	Resync time.Duration

	// StartEmpty lets the client begin without nodes when there are none at
	// first; calls fail with selector.ErrNoNodes until there are. By default
	// Watch, and with it New, fails then.
	StartEmpty bool

	// Clock is time and goroutines; nil: the real ones.
	Clock clock.Clock

	desk news.Desk
	clk  clock.Clock
	keys keys  // the rest belongs to one goroutine
	next int64 // the revision to watch from
}

var _ selector.Source = (*Source)(nil)

const (
	defaultTimeout = 5 * time.Second
	minTimeout     = 10 * time.Millisecond
	defaultResync  = 5 * time.Minute
	minResync      = 100 * time.Millisecond

	firstPause = 100 * time.Millisecond // after a failure
	maxPause   = 10 * time.Second
)

// Validate returns all that is wrong with the fields, joined.
func (s *Source) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("etcd: "+format, args...))
		}
	}
	check(s.Client != nil, "client: want one, got nil")
	check(s.Prefix != "", "prefix: want what the keys begin with")
	check(s.Timeout == 0 || s.Timeout >= minTimeout, "timeout %v: want at least %v (0: default %v)", s.Timeout, minTimeout, defaultTimeout)
	check(s.Resync == 0 || s.Resync >= minResync, "resync %v: want at least %v (0: default %v)", s.Resync, minResync, defaultResync)
	return errors.Join(errs...)
}

// Watch implements [selector.Source]: it returns when all was listed for the
// first time. It fails when a field is out of range, when it was called before,
// and, unless StartEmpty, when there is no node.
func (s *Source) Watch(report func([]selector.Node, error)) error {
	if err := s.Validate(); err != nil {
		return err
	}
	ctx, clk, err := s.desk.Open(s.Clock, report)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	s.clk = clk
	parse := s.Parse
	if parse == nil {
		parse = Parse
	}
	s.keys = keys{prefix: s.Prefix, parse: parse, entries: make(map[string]entry)}
	err = s.list(ctx)
	if nodes, problem := s.keys.nodes(); len(nodes) == 0 && !s.StartEmpty {
		if err == nil {
			err = problem
		}
		return errors.Join(err, s.Close())
	}
	s.tell(err)
	clk.Go(func() { s.run(ctx, err) })
	return nil
}

// Close implements [selector.Source]: the watch ends, without being waited for.
func (s *Source) Close() error {
	s.desk.Close()
	return nil
}

// tell reports the nodes there are, and what is wrong.
func (s *Source) tell(err error) {
	nodes, problem := s.keys.nodes()
	if err == nil {
		err = problem
	}
	s.desk.Tell(nodes, err)
}

package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// run follows the changes until ctx ends. err is what became of the list that
// was made before.
func (s *Source) run(ctx context.Context, err error) {
	for failures := 0; ; {
		if err == nil {
			var heard bool
			if heard, err = s.follow(ctx); heard {
				failures = 0 // not before: where only the watch fails, all would be listed over and over
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if !errors.Is(err, rpctypes.ErrCompacted) { // nothing is wrong: what we missed is in the list
				s.tell(err)
			}
			pause := min(firstPause<<min(failures, 16), maxPause)
			if s.clk.Sleep(ctx, pause/2+clock.Jitter(s.clk, pause/2)) != nil {
				return
			}
			failures++
		}
		if err = s.list(ctx); err == nil {
			s.tell(nil)
		}
	}
}

// list takes in all keys as they are.
func (s *Source) list(ctx context.Context) error {
	ctx, cancel := s.clk.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
	defer cancel()
	resp, err := s.Client.Get(ctx, s.Prefix, clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("etcd: list %s: %w", s.Prefix, err)
	}
	gone := make(map[string]bool, len(s.keys.entries))
	for key := range s.keys.entries {
		gone[key] = true
	}
	for _, kv := range resp.Kvs {
		delete(gone, string(kv.Key))
		s.keys.put(string(kv.Key), kv.Value)
	}
	for key := range gone {
		s.keys.remove(key)
	}
	s.next = resp.Header.Revision + 1
	return nil
}

// follow takes in changes until it is time for the next list, for which it
// returns nil, or the watch ends. Disconnects do not end it: the client watches
// again from where it was. It reports whether the watch was of use.
func (s *Source) follow(ctx context.Context) (heard bool, err error) {
	resync := cmp.Or(s.Resync, defaultResync)
	ctx, cancel := s.clk.WithTimeout(clientv3.WithRequireLeader(ctx), resync-resync/10+clock.Jitter(s.clk, resync/5))
	defer cancel()
	for resp := range s.Client.Watch(ctx, s.Prefix, clientv3.WithPrefix(), clientv3.WithRev(s.next)) {
		if err := resp.Err(); err != nil {
			if ctx.Err() != nil {
				return true, nil
			}
			return heard, fmt.Errorf("etcd: watch %s: %w", s.Prefix, err)
		}
		heard = true
		for _, e := range resp.Events {
			if e.Type == clientv3.EventTypeDelete {
				s.keys.remove(string(e.Kv.Key))
			} else {
				s.keys.put(string(e.Kv.Key), e.Kv.Value)
			}
		}
		s.tell(nil)
	}
	if ctx.Err() != nil {
		return true, nil
	}
	return heard, fmt.Errorf("etcd: watch %s: %w", s.Prefix, errEnded)
}

// errEnded is a watch that was ended by a client that was closed.
var errEnded = errors.New("the watch ended")

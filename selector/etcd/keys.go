package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/selector"
)

// Parse makes a node of a value that is "host:port", or a JSON object with the
// fields "addr", "id", "weight", "zone" and "meta" of [selector.Node], of which
// addr is required. Other fields are passed over, so that what etcd's own
// endpoints manager (go.etcd.io/etcd/client/v3/naming/endpoints) writes is
// understood. The key is not looked at.
func Parse(_ string, value []byte) (selector.Node, error) {
	text := strings.TrimSpace(string(value))
	if !strings.HasPrefix(text, "{") {
		if _, _, err := net.SplitHostPort(text); err != nil {
			return selector.Node{}, fmt.Errorf("value %.100q: want host:port, or a JSON object", text)
		}
		return selector.Node{Addr: text}, nil
	}
	var v struct {
		ID     string            `json:"id"`
		Addr   string            `json:"addr"`
		Weight int               `json:"weight"`
		Zone   string            `json:"zone"`
		Meta   map[string]string `json:"meta"`
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return selector.Node{}, err
	}
	if v.Addr == "" {
		return selector.Node{}, errors.New(`want "addr"`)
	}
	return selector.Node{ID: v.ID, Addr: v.Addr, Weight: v.Weight, Zone: v.Zone, Meta: v.Meta}, nil
}

// keys is what is known of the keys below a prefix.
type keys struct {
	prefix  string
	parse   func(key string, value []byte) (selector.Node, error)
	entries map[string]entry
}

// entry is one key: its node, as it was when it could be read last, and why it
// cannot be read now.
type entry struct {
	node selector.Node
	good bool // there is a node
	err  error
}

func (k *keys) put(key string, value []byte) {
	rest := strings.TrimPrefix(key, k.prefix)
	node, err := k.parse(rest, value)
	if err == nil {
		if node.ID == "" {
			if node.ID = rest; rest == "" {
				node.ID = key
			}
		}
		err = selector.CheckNodes([]selector.Node{node})
	}
	e := entry{node, true, nil}
	if err != nil {
		e = k.entries[key]
		e.err = fmt.Errorf("etcd: key %s: %w", key, err)
	}
	k.entries[key] = e
}

func (k *keys) remove(key string) { delete(k.entries, key) }

// nodes are those there are, in the order of their keys, and what is wrong. Of
// two with one ID the first counts.
func (k *keys) nodes() (nodes []selector.Node, err error) {
	var errs []error
	owner := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(k.entries)) {
		e := k.entries[key]
		if e.err != nil {
			errs = append(errs, e.err)
		}
		if !e.good {
			continue
		}
		if first, taken := owner[e.node.ID]; taken {
			errs = append(errs, fmt.Errorf("etcd: key %s: id %q is that of %s", key, e.node.ID, first))
			continue
		}
		owner[e.node.ID] = key
		nodes = append(nodes, e.node)
	}
	if len(nodes) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("etcd: %w below %s", ErrNoKeys, k.prefix))
	}
	return nodes, errors.Join(errs...)
}

// ErrNoKeys is matched by what is reported when the last key is gone.
var ErrNoKeys = errors.New("no keys")

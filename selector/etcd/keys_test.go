package etcd

import (
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfast-go/holdfast/selector"
)

func TestParse(t *testing.T) {
	tests := []struct {
		value string
		want  selector.Node
		err   string
	}{
		{"10.0.0.1:80", selector.Node{Addr: "10.0.0.1:80"}, ""},
		{" [::1]:80\n", selector.Node{Addr: "[::1]:80"}, ""},
		{`{"id": "x", "addr": "a:1", "weight": 2, "zone": "z"}`, selector.Node{ID: "x", Addr: "a:1", Weight: 2, Zone: "z"}, ""},
		{`{"Op": 0, "Addr": "a:1", "Metadata": {"k": [1]}}`, selector.Node{Addr: "a:1"}, ""},
		{"", selector.Node{}, "want host:port"},
		{"10.0.0.1", selector.Node{}, "want host:port"},
		{`{"addr": "a:1"`, selector.Node{}, "unexpected end"},
		{`{"addr": 1}`, selector.Node{}, "cannot unmarshal"},
		{`{"id": "x"}`, selector.Node{}, `want "addr"`},
	}
	for _, tt := range tests {
		got, err := Parse("k", []byte(tt.value))
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %v, want %q", tt.value, err, tt.err)
		}
		if got.ID != tt.want.ID || got.Addr != tt.want.Addr || got.Weight != tt.want.Weight || got.Zone != tt.want.Zone {
			t.Errorf("%q: %+v, want %+v", tt.value, got, tt.want)
		}
	}
}

// TestKeys: one that cannot be read leaves its own node as it was and the
// others alone; nothing that the selector would refuse the whole set for gets
// into it.
func TestKeys(t *testing.T) {
	k := keys{prefix: "/s/", parse: Parse, entries: make(map[string]entry)}
	steps := []struct {
		key, value string // an empty value removes
		want       string // the set
		err        string
	}{
		{"/s/b", "b:1", "b=b:1", ""},
		{"/s/a", `{"addr": "a:1", "id": "b"}`, "b=a:1", "key /s/b: id \"b\" is that of /s/a"},
		{"/s/a", `{"addr": "a:1", "weight": -1}`, "b=a:1", "weight -1"},
		{"/s/a", "a:1", "a=a:1 b=b:1", ""},
		{"/s/c", "?", "a=a:1 b=b:1", "key /s/c: value"},
		{"/s/b", "?", "a=a:1 b=b:1", "key /s/b: value"},
		{"/s/c", "", "a=a:1 b=b:1", "key /s/b: value"},
		{"/s/b", "", "a=a:1", ""},
		{"/s/", "s:1", "/s/=s:1 a=a:1", ""},
	}
	for _, s := range steps {
		if s.value == "" {
			k.remove(s.key)
		} else {
			k.put(s.key, []byte(s.value))
		}
		nodes, err := k.nodes()
		var got []string
		for _, n := range nodes {
			got = append(got, n.ID+"="+n.Addr)
		}
		if strings.Join(got, " ") != s.want || (err == nil) != (s.err == "") || err != nil && !strings.Contains(err.Error(), s.err) {
			t.Errorf("%s %q: %v, %v, want %s, %s", s.key, s.value, got, err, s.want, s.err)
		}
		if err := selector.CheckNodes(nodes); err != nil {
			t.Error(err)
		}
	}
	k.remove("/s/")
	k.remove("/s/a")
	if _, err := k.nodes(); !errors.Is(err, ErrNoKeys) {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	err := (&Source{Timeout: 1, Resync: 1}).Validate()
	if err == nil || strings.Count(err.Error(), "etcd: ") != 4 {
		t.Errorf("%v: want four problems", err)
	}
	if err := (&Source{Client: new(clientv3.Client), Prefix: "x", Timeout: time.Second}).Validate(); err != nil {
		t.Error(err)
	}
}

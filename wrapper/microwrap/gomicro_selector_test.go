package microwrap_test

// What go-micro's own tests ask of its selector, asked of ours: ported from the
// package go-micro.dev/v5/selector at v5.3.0 (common_test.go, default_test.go,
// filter_test.go, strategy_test.go), of the authors of go-micro, under the Apache
// License 2.0, which is this project's too. Changed: the selector is ours, filters and strategies are
// given to Select, a mistake ends the test, the registry is one without
// goroutines, and the counts are looked at.

import (
	"errors"
	"testing"

	"go-micro.dev/v5/registry"
	mselector "go-micro.dev/v5/selector"

	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

var microData = []*registry.Service{
	{Name: "foo", Version: "1.0.0", Nodes: []*registry.Node{
		{Id: "foo-1.0.0-123", Address: "localhost:9999"},
		{Id: "foo-1.0.0-321", Address: "localhost:9999"},
	}},
	{Name: "foo", Version: "1.0.1", Nodes: []*registry.Node{{Id: "foo-1.0.1-321", Address: "localhost:6666"}}},
	{Name: "foo", Version: "1.0.3", Nodes: []*registry.Node{{Id: "foo-1.0.3-345", Address: "localhost:8888"}}},
}

func newSelector(t testing.TB, cfg microwrap.SelectorConfig, services ...*registry.Service) *microwrap.Selector {
	t.Helper()
	d := new(directory)
	d.set(services...)
	if cfg.Registry == nil {
		cfg.Registry = d
	}
	s, err := microwrap.NewSelector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A call a time, as go-micro's client makes them; the answers are good.
func picks(t testing.TB, s mselector.Selector, service string, n int, opts ...mselector.SelectOption) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range n {
		next, err := s.Select(service, opts...)
		if err != nil {
			t.Fatal(err)
		}
		node, err := next()
		if err != nil {
			t.Fatal(err)
		}
		counts[node.Id]++
		s.Mark(service, node, nil)
	}
	return counts
}

func TestRegistrySelector(t *testing.T) {
	s := newSelector(t, microwrap.SelectorConfig{}, microData...)
	next, err := s.Select("foo")
	if err != nil {
		t.Fatalf("Unexpected error calling select: %v", err)
	}
	counts := map[string]int{}
	for range 100 {
		node, err := next()
		if err != nil {
			t.Fatalf("Expected node, got err: %v", err)
		}
		counts[node.Id]++
	}
	if len(counts) != 4 {
		t.Errorf("Selector Counts %v", counts)
	}
}

func TestFilterEndpoint(t *testing.T) {
	endpoint := func(name string) []*registry.Endpoint { return []*registry.Endpoint{{Name: name}} }
	node := func(id string) []*registry.Node { return []*registry.Node{{Id: id, Address: id}} }
	for _, data := range []struct {
		services []*registry.Service
		endpoint string
		count    int
	}{
		{[]*registry.Service{
			{Name: "test", Version: "1.0.0", Endpoints: endpoint("Foo.Bar"), Nodes: node("a")},
			{Name: "test", Version: "1.1.0", Endpoints: endpoint("Baz.Bar"), Nodes: node("b")},
		}, "Foo.Bar", 1},
		{[]*registry.Service{
			{Name: "test", Version: "1.0.0", Endpoints: endpoint("Foo.Bar"), Nodes: node("a")},
			{Name: "test", Version: "1.1.0", Endpoints: endpoint("Foo.Bar"), Nodes: node("b")},
		}, "Bar.Baz", 0},
	} {
		filtered(t, data.services, mselector.FilterEndpoint(data.endpoint), data.count, "a")
	}
}

func TestFilterLabel(t *testing.T) {
	label := func(id, key, value string) []*registry.Node {
		return []*registry.Node{{Id: id, Address: "localhost", Metadata: map[string]string{key: value}}}
	}
	for _, data := range []struct {
		services []*registry.Service
		label    [2]string
		count    int
	}{
		{[]*registry.Service{
			{Name: "test", Version: "1.0.0", Nodes: label("test-1", "foo", "bar")},
			{Name: "test", Version: "1.1.0", Nodes: label("test-2", "foo", "baz")},
		}, [2]string{"foo", "bar"}, 1},
		{[]*registry.Service{
			{Name: "test", Version: "1.0.0", Nodes: []*registry.Node{{Id: "test-1", Address: "localhost"}}},
			{Name: "test", Version: "1.1.0", Nodes: []*registry.Node{{Id: "test-2", Address: "localhost"}}},
		}, [2]string{"foo", "bar"}, 0},
	} {
		filtered(t, data.services, mselector.FilterLabel(data.label[0], data.label[1]), data.count, "test-1")
	}
}

func TestFilterVersion(t *testing.T) {
	services := []*registry.Service{
		{Name: "test", Version: "1.0.0", Nodes: []*registry.Node{{Id: "a", Address: "a"}}},
		{Name: "test", Version: "1.1.0", Nodes: []*registry.Node{{Id: "b", Address: "b"}}},
	}
	filtered(t, services, mselector.FilterVersion("1.0.0"), 1, "a")
	filtered(t, services, mselector.FilterVersion("2.0.0"), 0, "")
}

// filtered expects all calls at the only node that the filter leaves, or none.
func filtered(t *testing.T, services []*registry.Service, filter mselector.Filter, count int, id string) {
	t.Helper()
	s := newSelector(t, microwrap.SelectorConfig{}, services...)
	if count == 0 {
		if _, err := s.Select("test", mselector.WithFilter(filter)); !errors.Is(err, mselector.ErrNoneAvailable) {
			t.Errorf("%v, want none available", err)
		}
		return
	}
	if counts := picks(t, s, "test", 100, mselector.WithFilter(filter)); counts[id] != 100 {
		t.Errorf("%v, want %s alone", counts, id)
	}
}

func TestStrategies(t *testing.T) {
	services := []*registry.Service{
		{Name: "test1", Version: "latest", Nodes: []*registry.Node{
			{Id: "test1-1", Address: "10.0.0.1:1001"}, {Id: "test1-2", Address: "10.0.0.2:1002"},
		}},
		{Name: "test1", Version: "default", Nodes: []*registry.Node{
			{Id: "test1-3", Address: "10.0.0.3:1003"}, {Id: "test1-4", Address: "10.0.0.4:1004"},
		}},
	}
	for name, strategy := range map[string]mselector.Strategy{"random": mselector.Random, "roundrobin": mselector.RoundRobin} {
		for where, counts := range map[string]map[string]int{
			"a call's":     picks(t, newSelector(t, microwrap.SelectorConfig{}, services...), "test1", 200, mselector.WithStrategy(strategy)),
			"the selector": picks(t, newSelector(t, microwrap.SelectorConfig{Strategy: strategy}, services...), "test1", 200),
		} {
			if len(counts) != 4 {
				t.Errorf("%s, %s: %v", name, where, counts)
			}
		}
	}
}

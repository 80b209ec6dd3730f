package microwrap_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go-micro.dev/v5/metadata"
	"go-micro.dev/v5/registry"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

var errDown = errors.New("down")

// keys is a server that keeps the metadata it is sent, and fails the first so
// many requests.
type keys struct {
	mu   sync.Mutex
	seen []http.Header
	fail int
}

func (k *keys) answer(r *http.Request) (int, map[string]string, string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, r.Header.Clone())
	if k.fail > 0 {
		k.fail--
		return says(errDown)(r)
	}
	return good(r)
}

func (k *keys) all(name string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []string
	for _, h := range k.seen {
		list = append(list, h.Get(name))
	}
	return strings.Join(list, " ")
}

// One key a call, the same on every attempt; and what a handler's context has of
// the request that is being served is not sent on.
func TestKeys(t *testing.T) {
	t.Parallel()
	served := metadata.Metadata{
		"Local": "a:1", "Remote": "b:2", "Idempotency-Key": "theirs",
		"X-Retry-Attempt": "7", "X-Retry-Credit": "7", "X-Retry-Spent": "7", "Holdfast-Flight": "x-1", "Tenant": "t",
	}
	for name, tt := range map[string]struct {
		md     metadata.Metadata
		hint   resilience.Hint
		assume bool
		fail   int
		keys   string // "*": a new one, each time the same
		ok     bool
	}{
		"none":                      {keys: "", ok: true},
		"none, in doubt":            {fail: 1, keys: ""},
		"a hint's":                  {hint: resilience.Keyed("", "k"), fail: 2, keys: "k k k", ok: true},
		"the metadata's":            {md: metadata.Metadata{"Idempotency-Key": "m"}, fail: 1, keys: "m m", ok: true},
		"in lower case":             {md: metadata.Metadata{"idempotency-key": "m"}, fail: 1, keys: "m m", ok: true},
		"the hint's first":          {md: metadata.Metadata{"Idempotency-Key": "m"}, hint: resilience.Keyed("", "k"), fail: 1, keys: "k k", ok: true},
		"somebody else's":           {md: served, fail: 1, keys: ""},
		"a hint's, inside":          {md: served, hint: resilience.Keyed("", "k"), fail: 1, keys: "k k", ok: true},
		"a new one":                 {assume: true, fail: 2, keys: "* * *", ok: true},
		"a new one, not repeatable": {assume: true, hint: resilience.Unsafe(""), fail: 1, keys: ""},
		"safe":                      {assume: true, hint: resilience.Safe(""), fail: 1, keys: " ", ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &keys{fail: tt.fail}
			addr, _ := wire(t, k.answer)
			c := dial(t, at(addr), microwrap.Config{AssumeServerDeduplicates: tt.assume})
			ctx := microwrap.WithHint(t.Context(), tt.hint)
			if tt.md != nil {
				ctx = metadata.NewContext(ctx, tt.md)
			}
			err := c.Call(ctx, c.NewRequest(service, "Hello.Register", &Request{}), new(Response))
			got := k.all("Idempotency-Key")
			if tt.keys != "" && tt.keys[0] == '*' {
				if first, _, _ := strings.Cut(got, " "); len(first) == 36 {
					got = strings.ReplaceAll(got, first, "*")
				}
			}
			if got != tt.keys || (err == nil) != tt.ok {
				t.Errorf("keys %q, want %q; %v", got, tt.keys, err)
			}
			want := strings.Join(strings.Fields("1 2 3")[:len(k.seen)], " ")
			if got := "1" + k.all("X-Retry-Attempt"); got != want {
				t.Errorf("attempts %q, want %q", got, want)
			}
			for _, name := range []string{"X-Retry-Credit", "X-Retry-Spent", "Holdfast-Flight", "Holdfast-Served"} {
				if got := k.all(name); strings.TrimSpace(got) != "" {
					t.Errorf("%s: %q was sent", name, got)
				}
			}
			if tt.md["Tenant"] != "" && k.seen[0].Get("Tenant") != "t" {
				t.Error("the metadata were not sent")
			}
			if tt.md["Idempotency-Key"] == "theirs" && served["Idempotency-Key"] != "theirs" {
				t.Error("the caller's metadata were changed")
			}
		})
	}
}

// A call that stays in doubt says its key, by which it is resumed.
func TestResume(t *testing.T) {
	t.Parallel()
	k := &keys{fail: 3}
	addr, _ := wire(t, k.answer)
	c := dial(t, at(addr), microwrap.Config{AssumeServerDeduplicates: true})
	_, err := call(t, c, "Hello.Register", Request{})
	var e *microwrap.Error
	if !errors.As(err, &e) || !resilience.IsAmbiguous(err) || len(e.Call.Attempts) != 3 || e.Call.Key == "" {
		t.Fatalf("%v", err)
	}
	ctx := microwrap.WithHint(t.Context(), resilience.Keyed(e.Call.Method, e.Call.Key))
	if err := c.Call(ctx, c.NewRequest(service, "Hello.Register", &Request{}), new(Response)); err != nil {
		t.Fatal(err)
	}
	if got, want := k.all("Idempotency-Key"), strings.TrimSpace(strings.Repeat(e.Call.Key+" ", 4)); got != want {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func TestBadKey(t *testing.T) {
	t.Parallel()
	addr, seen := wire(t, good)
	c := dial(t, at(addr), microwrap.Config{})
	for _, key := range []string{"two\nlines", "ü", strings.Repeat("x", 256)} {
		ctx := microwrap.WithHint(t.Context(), resilience.Keyed("", key))
		if err := c.Call(ctx, c.NewRequest(service, "Hello.Register", &Request{}), new(Response)); !errors.Is(err, microwrap.ErrBadKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
	ctx := microwrap.WithHint(t.Context(), resilience.Keyed("", ""))
	if err := c.Call(ctx, c.NewRequest(service, "Hello.Register", &Request{}), new(Response)); !errors.Is(err, resilience.ErrNoKey) {
		t.Error(err)
	}
	if seen.Load() != 0 {
		t.Errorf("%d requests were sent", seen.Load())
	}
}

// What the server registers with an endpoint is the default; versions that do
// not agree say nothing; the settings go before it.
func TestDeclared(t *testing.T) {
	t.Parallel()
	endpoint := func(as string) []*registry.Endpoint {
		return []*registry.Endpoint{{Name: "Hello.Greet", Metadata: map[string]string{"idempotency": as}}}
	}
	for name, tt := range map[string]struct {
		v1, v2  []*registry.Endpoint
		setting retry.Idempotency
		again   bool
	}{
		"safe":              {v1: endpoint("safe"), again: true},
		"not said":          {},
		"no word":           {v1: endpoint("maybe")},
		"both":              {v1: endpoint("idempotent"), v2: endpoint("idempotent"), again: true},
		"one of them":       {v1: endpoint("idempotent"), v2: endpoint("non-idempotent")},
		"the setting":       {v1: endpoint("safe"), setting: retry.NonIdempotent},
		"keyed without one": {v1: endpoint("keyed")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &keys{fail: 1}
			addr, _ := wire(t, k.answer)
			d := at(addr)
			d.set(&registry.Service{Name: service, Version: "1", Nodes: d.services[0].Nodes, Endpoints: tt.v1},
				&registry.Service{Name: service, Version: "2", Nodes: d.services[0].Nodes, Endpoints: tt.v2})
			s := resilience.Settings{Methods: map[string]resilience.MethodSettings{"Hello.Greet": {Idempotency: tt.setting}}}
			c := dial(t, d, microwrap.Config{Default: resilience.Config{Settings: s}})
			if _, err := call(t, c, "Hello.Greet", Request{}); (err == nil) != tt.again {
				t.Errorf("%v, want it tried again: %v", err, tt.again)
			}
		})
	}
}

package idempotency_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// word is a response's Idempotency-Status.
func word(w *httptest.ResponseRecorder) string { return w.Header().Get(idempotency.HeaderStatus) }

// asked is a POST to /orders with that key, as its header has it, and body.
func asked(t testing.TB, key, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", strings.NewReader(body))
	if key != "" {
		r.Header.Set(idempotency.HeaderKey, key)
	}
	return r
}

// served is what h makes of r.
func served(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func wrap(t testing.TB, cfg idempotency.Config, h http.HandlerFunc) http.Handler {
	t.Helper()
	g, err := idempotency.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g.Wrap(h)
}

// counter is a handler that counts its runs, and tells the body back.
type counter struct {
	mu   sync.Mutex
	runs map[string]int
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	if c.runs == nil {
		c.runs = make(map[string]int)
	}
	c.runs[string(body)]++
	c.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Order", "42")
	w.Header()["X-Many"] = []string{"a", "", "b"}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
}

func (c *counter) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.runs {
		n += k
	}
	return n
}

// broken is a store that fails as often as it is told to, before or after
// the real one has done its work.
type broken struct {
	idempotency.Store
	before, after func(call string) error
}

var errAway = errors.New("the store is away")

func (b *broken) around(call string, do func() error) error {
	if b.before != nil {
		if err := b.before(call); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if b.after != nil {
		return b.after(call)
	}
	return nil
}

func (b *broken) Reserve(ctx context.Context, key idempotency.Key, want idempotency.Reservation) (found idempotency.Found, err error) {
	err = b.around("reserve", func() error {
		found, err = b.Store.Reserve(ctx, key, want)
		return err
	})
	return found, err
}

func (b *broken) Complete(ctx context.Context, key idempotency.Key, owner idempotency.Owner, answer []byte) error {
	return b.around("complete", func() error { return b.Store.Complete(ctx, key, owner, answer) })
}

func (b *broken) Abandon(ctx context.Context, key idempotency.Key, owner idempotency.Owner) error {
	return b.around("abandon", func() error { return b.Store.Abandon(ctx, key, owner) })
}

func (b *broken) Release(ctx context.Context, key idempotency.Key, owner idempotency.Owner) error {
	return b.around("release", func() error { return b.Store.Release(ctx, key, owner) })
}

func memory() *idempotency.Memory { return idempotency.NewMemory(idempotency.MemoryConfig{}) }

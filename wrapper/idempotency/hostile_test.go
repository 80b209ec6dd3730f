package idempotency_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// TestHostileKeys: each is refused, and takes no room.
func TestHostileKeys(t *testing.T) {
	t.Parallel()
	var handler counter
	store := memory()
	h := wrap(t, idempotency.Config{Store: store, Required: true}, handler.ServeHTTP)
	random := make([]byte, 100)
	_, _ = rand.Read(random)
	for _, key := range []string{
		`"` + strings.Repeat("k", 256) + `"`, `"` + strings.Repeat("k", 1<<20) + `"`,
		"\"\x00\"", `"` + string(random) + `"`, string(random), `""`, `"'; DROP TABLE keys;--` + "\n\"",
	} {
		if w := served(h, asked(t, key, "body")); w.Code != 400 || word(w) != idempotency.NotExecuted {
			t.Errorf("%.20q: %d %q", key, w.Code, word(w))
		}
	}
	if handler.total() != 0 || store.Len() != 0 {
		t.Errorf("%d runs, %d keys", handler.total(), store.Len())
	}
}

// TestFlood: unique keys without end take as much memory as is allowed, and no
// more. What was promised before is kept, and new ones are taken when others
// have expired.
func TestFlood(t *testing.T) {
	t.Parallel()
	flood := 100_000
	if testing.Short() {
		flood = 10_000
	}
	synctest.Test(t, func(t *testing.T) {
		const room = 1 << 20
		store := idempotency.NewMemory(idempotency.MemoryConfig{MaxBytes: room})
		runs := 0
		h := wrap(t, idempotency.Config{Store: store, Lifetime: time.Hour}, func(w http.ResponseWriter, _ *http.Request) {
			runs++
			fmt.Fprint(w, "run ", runs)
		})
		if w := served(h, asked(t, `"first"`, "")); w.Body.String() != "run 1" {
			t.Fatal(w.Body)
		}
		codes := make(map[int]int)
		for i := range flood {
			codes[served(h, asked(t, fmt.Sprintf(`"%d"`, i), "")).Code]++
		}
		if codes[200] < 1000 || codes[200] > room/320 || codes[200]+codes[503] != flood || store.Len() != runs {
			t.Errorf("%v, %d runs, %d keys", codes, runs, store.Len())
		}
		if w := served(h, asked(t, `"first"`, "")); word(w) != idempotency.Replayed || w.Body.String() != "run 1" {
			t.Errorf("the first: %d %q %q", w.Code, word(w), w.Body)
		}
		if w := served(h, asked(t, `"more"`, "")); w.Code != 503 || word(w) != idempotency.NotExecuted {
			t.Errorf("one more: %d %q", w.Code, word(w))
		}
		<-time.After(time.Hour)
		if w := served(h, asked(t, `"more"`, "")); w.Code != 200 {
			t.Errorf("one more, an hour later: %d", w.Code)
		}
		for i := range 5000 { // a steady load removes all that has expired
			served(h, asked(t, fmt.Sprintf(`"%d"`, i), ""))
			<-time.After(10 * time.Second)
		}
		if n := store.Len(); n > 2000 {
			t.Errorf("%d keys of the last hour's 360", n)
		}
	})
}

// TestMemoryIsHonest: what a Memory says it takes is what it takes.
func TestMemoryIsHonest(t *testing.T) {
	const room = 16 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	store := idempotency.NewMemory(idempotency.MemoryConfig{MaxBytes: room})
	h := wrap(t, idempotency.Config{Store: store}, new(idle).ServeHTTP)
	for i := 0; ; i++ {
		if w := served(h, asked(t, fmt.Sprintf(`"%d"`, i), "")); w.Code == 503 {
			break
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	took := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d keys took %d bytes", store.Len(), took)
	if took > room*5/4 || took < room/3 {
		t.Errorf("%d bytes for a limit of %d", took, room)
	}
	runtime.KeepAlive(store)
}

type idle struct{}

func (idle) ServeHTTP(http.ResponseWriter, *http.Request) {}

// TestManyPayloads: one key with many payloads at once runs one of them.
func TestManyPayloads(t *testing.T) {
	t.Parallel()
	var handler counter
	h := wrap(t, idempotency.Config{}, handler.ServeHTTP)
	var (
		crowd sync.WaitGroup
		codes [600]atomic.Int64
		gate  = make(chan struct{})
	)
	for i := range 200 {
		r := asked(t, `"k"`, fmt.Sprint("payload ", i%50))
		crowd.Go(func() {
			<-gate
			codes[served(h, r).Code].Add(1)
		})
	}
	close(gate)
	crowd.Wait()
	if n := handler.total(); n != 1 {
		t.Errorf("%d runs", n)
	}
	if ok, busy, mismatch := codes[201].Load(), codes[409].Load(), codes[422].Load(); ok+busy != 4 || mismatch != 196 || ok == 0 {
		t.Errorf("%d answered, %d in progress, %d of another payload", ok, busy, mismatch)
	}
}

// TestLargeBodies: over the cap nothing is run, nothing is reserved, and no
// more is read than the cap; a length that is only promised takes no room.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	var handler counter
	store := memory()
	h := wrap(t, idempotency.Config{Store: store, MaxBody: 1000}, handler.ServeHTTP)
	for size, code := range map[int]int{1000: 201, 1001: 413, 1 << 20: 413} {
		for _, chunked := range []bool{false, true} {
			body := strings.NewReader(strings.Repeat("x", size))
			r := asked(t, fmt.Sprintf(`"%d %v"`, size, chunked), "")
			r.Body, r.ContentLength = io.NopCloser(body), int64(size)
			if chunked {
				r.ContentLength = -1
			}
			if w := served(h, r); w.Code != code {
				t.Errorf("%d bytes, chunked %v: %d, want %d", size, chunked, w.Code, code)
			}
			if read := size - body.Len(); code == 413 && read > 5000 {
				t.Errorf("%d bytes, chunked %v: read %d", size, chunked, read)
			}
		}
	}
	if store.Len() != 2 || handler.total() != 2 {
		t.Errorf("%d keys, %d runs", store.Len(), handler.total())
	}
	big := wrap(t, idempotency.Config{Store: store, MaxBody: 1 << 30}, handler.ServeHTTP)
	r := asked(t, `"promise"`, "")
	r.Body, r.ContentLength = io.NopCloser(failing{}), 1<<30
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	served(big, r)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("a promise of 1 GiB took %d bytes", grown)
	}
}

// TestDisconnect is over a real connection: a client that leaves in the middle
// of the handler, or of its own request.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	started, done := make(chan struct{}), make(chan struct{})
	g, err := idempotency.New(idempotency.Config{OnEvent: func(idempotency.Event) { done <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	guarded := g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if runs.Add(1) == 1 {
			started <- struct{}{}
			<-gone
		}
		if r.Context().Err() != nil {
			t.Error(r.Context().Err())
		}
		fmt.Fprint(w, "done")
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func(ctx <-chan struct{}) {
			if <-ctx; runs.Load() == 1 {
				select {
				case gone <- struct{}{}:
				default:
				}
			}
		}(r.Context().Done())
		guarded.ServeHTTP(w, r)
	}))
	defer server.Close()
	const head = "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: \"k\"\r\nContent-Length: 4\r\n\r\n"
	send := func(text string) net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	send(head + "bo").Close() // nothing runs
	<-done
	if runs.Load() != 0 {
		t.Fatal("half a request ran")
	}
	conn := send(head + "body")
	<-started
	conn.Close()
	<-done
	conn = send(head + "body")
	defer conn.Close()
	<-done
	answer := make([]byte, 1000)
	n, err := conn.Read(answer)
	if text := string(answer[:n]); err != nil || !strings.Contains(text, "Idempotency-Status: replayed") || !strings.HasSuffix(text, "done") || runs.Load() != 1 {
		t.Errorf("%v, %d runs: %s", err, runs.Load(), text)
	}
}

// TestTornStorm: many clients with few keys, through two guards, over a store
// that fails now and then: no key has two effects that were both answered as
// the first.
func TestTornStorm(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	store := &broken{Store: memory(), after: func(string) error {
		if calls.Add(1)%7 == 0 {
			return errAway
		}
		return nil
	}}
	var effects sync.Map
	effect := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n, _ := effects.LoadOrStore(string(body), new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		_, _ = w.Write(body)
	}
	var guards []http.Handler
	for range 2 {
		guards = append(guards, wrap(t, idempotency.Config{Store: store}, effect))
	}
	var crowd sync.WaitGroup
	answered := make([]atomic.Int64, 100)
	for c := range 8 {
		crowd.Go(func() {
			for i := range 400 {
				id := i % len(answered)
				w := served(guards[(c+i)%2], asked(t, fmt.Sprintf(`"%d"`, id), fmt.Sprint(id)))
				if w.Code == 200 {
					answered[id].Add(1)
					if w.Body.String() != fmt.Sprint(id) {
						t.Errorf("key %d is answered %q", id, w.Body)
					}
				}
			}
		})
	}
	crowd.Wait()
	for id := range answered {
		n, ok := effects.Load(fmt.Sprint(id))
		if !ok || n.(*atomic.Int64).Load() != 1 {
			t.Errorf("key %d: effects %v", id, n)
		}
		if answered[id].Load() == 0 {
			t.Errorf("key %d was never answered", id)
		}
	}
}

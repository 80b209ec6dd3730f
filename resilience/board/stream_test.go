package board

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// pipes is a listener whose connections have no buffer: a write waits for its
// reader, and time stands still meanwhile in a bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial opens a connection and asks for the stream, by HTTP/1.1 written out.
func (p *pipes) dial(t *testing.T, path string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	p.conns <- theirs
	if _, err := fmt.Fprintf(ours, "GET %s HTTP/1.1\r\nHost: board\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return ours
}

// read reads the stream on conn. Its body is not closed, which would read to
// the end of it.
func read(t *testing.T, conn net.Conn) *sse {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // see above
	if err != nil {
		t.Fatal(err)
	}
	return newSSE(resp)
}

// serve runs the board on pipes until the test ends.
func serve(t *testing.T, h http.Handler) (*pipes, *http.Server) {
	t.Helper()
	p := newPipes()
	server := &http.Server{Handler: h} //nolint:gosec // a test's
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(p); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return p, server
}

func (b *Board) watching() int {
	b.streams.mu.Lock()
	defer b.streams.mu.Unlock()
	return len(b.watchers)
}

// TestStreamEachSecond: the first event comes at once, and then one with each
// second of the board.
//
//nolint:forbidigo // synctest bubble
func TestStreamEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{})
		c := realClient(t, b, config{Service: "s"})
		p, _ := serve(t, b)
		time.Sleep(300 * tick)
		begin := time.Now().Add(-300 * tick)
		conn := p.dial(t, "/hystrix.stream")
		defer conn.Close()
		s := read(t, conn)
		for i, want := range []time.Duration{300 * tick, time.Second, 2 * time.Second, 3 * time.Second} {
			for _, kind := range []string{`"HystrixCommand","name":"s"`, `"HystrixCommand","name":"s/node"`, `"HystrixThreadPool","name":"s"`} {
				data, ok := s.next()
				if !ok || !strings.Contains(data, kind) {
					t.Fatalf("round %d: %s, want a %s", i, data, kind)
				}
				if got := time.Since(begin); got != want {
					t.Errorf("round %d: at %v, want %v", i, got, want)
				}
				if n := fmt.Sprintf(`"requestCount":%d,`, i); strings.Contains(kind, "Command") && !strings.Contains(data, n) && i > 1 {
					t.Errorf("round %d: want %s in %s", i, n, data)
				}
			}
			if err := c.Do(t.Context(), resilience.Safe("m"), good); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestStuckWatcherIsDropped after its patience is over. Meanwhile calls go on,
// and so do those who read.
//
//nolint:forbidigo // synctest bubble
func TestStuckWatcherIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{Patience: 5 * time.Second})
		c := realClient(t, b, config{Service: "s", Nodes: addrs(20)})
		p, _ := serve(t, b)
		begin := time.Now()
		stuck := p.dial(t, "/hystrix.stream")
		defer stuck.Close()
		conn := p.dial(t, "/hystrix.stream")
		defer conn.Close()
		s := read(t, conn)
		synctest.Wait()
		if n := b.watching(); n != 2 {
			t.Fatalf("%d watch, want 2", n)
		}
		for time.Since(begin) < 4*time.Second {
			for range 22 { // a round of the one who reads
				if _, ok := s.next(); !ok {
					t.Fatal("the reader's stream has ended")
				}
			}
			before := time.Now()
			for range 1000 {
				if err := c.Do(t.Context(), resilience.Safe("m"), good); err != nil {
					t.Fatal(err)
				}
			}
			if d := time.Since(before); d != 0 {
				t.Errorf("the calls took %v", d)
			}
		}
		if n := b.watching(); n != 2 {
			t.Errorf("%d watch after %v: dropped too soon", n, time.Since(begin))
		}
		time.Sleep(time.Until(begin.Add(5*time.Second + tick)))
		synctest.Wait()
		if n := b.watching(); n != 1 {
			t.Errorf("%d watch after %v, want the one who has read so far", n, time.Since(begin))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := b.watching(); n != 0 {
			t.Errorf("%d watch after %v, want none", n, time.Since(begin))
		}
	})
}

// TestClose ends the streams, so that a server's Shutdown returns.
//
//nolint:forbidigo // synctest bubble
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{})
		realClient(t, b, config{Service: "s"})
		p, server := serve(t, b)
		server.RegisterOnShutdown(func() { _ = b.Close() })
		ended := make(chan struct{})
		for range 3 {
			conn := p.dial(t, "/x/hystrix.stream")
			go func() {
				defer func() { ended <- struct{}{} }()
				defer conn.Close()
				for scan := bufio.NewScanner(conn); scan.Scan(); {
				}
			}()
		}
		time.Sleep(1500 * tick)
		if n := b.watching(); n != 3 {
			t.Fatalf("%d watch, want 3", n)
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for range 3 {
			<-ended
		}
		if n := b.watching(); n != 0 {
			t.Errorf("%d watch a closed board", n)
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/hystrix.stream", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("a closed board answers %d", w.Code)
		}
	})
}

// TestRequests that are no GET of something there is, and one watcher too many.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{Watchers: 1})
		ask := func(method, path string, w http.ResponseWriter) {
			b.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		}
		for _, row := range []struct {
			method, path string
			code         int
		}{
			{http.MethodGet, "/", http.StatusOK},
			{http.MethodGet, "/holdfast/", http.StatusOK},
			{http.MethodGet, "/holdfast", http.StatusNotFound},
			{http.MethodGet, "/holdfast/board.js", http.StatusOK},
			{http.MethodPost, "/holdfast/", http.StatusMethodNotAllowed},
			{http.MethodGet, "/holdfast/elsewhere", http.StatusNotFound},
			{http.MethodPost, "/holdfast/hystrix.stream", http.StatusMethodNotAllowed},
			{http.MethodDelete, "/state.json", http.StatusMethodNotAllowed},
			{http.MethodHead, "/hystrix.stream", http.StatusOK},
			{http.MethodHead, "/a/b/state.json", http.StatusOK},
			{http.MethodGet, "/state.json", http.StatusOK},
		} {
			w := httptest.NewRecorder()
			ask(row.method, row.path, w)
			if w.Code != row.code || row.code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Errorf("%s %s: %d, want %d", row.method, row.path, w.Code, row.code)
			}
		}

		type deaf struct{ http.ResponseWriter } // cannot flush
		w := httptest.NewRecorder()
		ask(http.MethodGet, "/hystrix.stream", deaf{w})
		if w.Code != http.StatusInternalServerError {
			t.Errorf("a server that cannot stream: %d", w.Code)
		}

		p, _ := serve(t, b)
		conn := p.dial(t, "/hystrix.stream")
		defer conn.Close()
		synctest.Wait()
		w = httptest.NewRecorder()
		ask(http.MethodGet, "/hystrix.stream", w)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("the second of one watcher: %d", w.Code)
		}
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Error("the first:", err)
		}
	})
}

// TestNothingToShow: a board without clients keeps the stream alive.
func TestNothingToShow(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{})
	if got := string(frame(b.State())); !strings.HasPrefix(got, ":") || !strings.HasSuffix(got, "\n\n") {
		t.Errorf("%q, want a comment", got)
	}
}

// askedEngine counts how often its breakers are asked for their state, and does
// something at the next time.
type askedEngine struct {
	asked atomic.Int64
	next  atomic.Pointer[func()]
}

func (e *askedEngine) hold(f func()) { e.next.Store(&f) }

func (e *askedEngine) New(string) breaker.Breaker { return e }

func (e *askedEngine) State() breaker.State {
	e.asked.Add(1)
	if f := e.next.Swap(nil); f != nil {
		(*f)()
	}
	return breaker.Closed
}

func (e *askedEngine) TryAcquire(time.Time) (breaker.Permit, time.Duration, bool) {
	return breaker.Permit{}, 0, true
}

// TestOneLookForAll: however many watch, the breakers are asked once a second,
// and no lock is held meanwhile.
//
//nolint:forbidigo // synctest bubble
func TestOneLookForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, Config{})
		engine := &askedEngine{}
		c := realClient(t, b, config{Service: "s", Engine: engine})
		begin := time.Now()
		wait := make(chan struct{})
		engine.hold(func() { <-wait })
		look := func() []byte {
			return b.hystrix.of(int64(time.Since(begin)/time.Second), func() []byte { return frame(b.State()) })
		}
		engine.asked.Store(0)
		frames := make(chan string, 10)
		for range 10 {
			go func() { frames <- string(look()) }()
		}
		synctest.Wait() // the first asks, the others wait for it
		if n := engine.asked.Load(); n != 1 {
			t.Errorf("asked %d times at once", n)
		}
		if err := c.Do(t.Context(), resilience.Safe("m"), good); err != nil {
			t.Error(err)
		}
		realClient(t, b, config{Service: "another"})
		close(wait)
		first := <-frames
		for range 9 {
			if f := <-frames; f != first {
				t.Error("two frames of one second differ")
			}
		}
		perLook := engine.asked.Load()
		for range 5 {
			look()
		}
		if n := engine.asked.Load(); n != perLook {
			t.Errorf("asked again in the same second: %d times, then %d", perLook, n)
		}
		time.Sleep(time.Second)
		engine.hold(func() { panic("boom") })
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was lost")
				}
			}()
			look()
		}()
		if f := string(look()); f == first {
			t.Error("no new frame after a panic")
		}
	})
}

// TestConcurrently: calls, changes of the set, looks and watchers, for the race
// detector.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{Nodes: 5})
	src := &swapping{}
	c := realClient(t, b, config{Service: "s", Nodes: src})
	server := httptest.NewServer(b)
	defer server.Close()
	defer func() { _ = b.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_ = c.Do(ctx, resilience.Safe("m"), good)
			}
		})
	}
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			src.swap(i)
		}
	})
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				other, err := resilience.New(config{Service: "other", Observer: b})
				if err == nil {
					err = other.Close()
				}
				if err != nil {
					t.Error(err)
				}
				for _, sv := range b.State().Services {
					if len(sv.Nodes) > 6 {
						t.Errorf("%d nodes, want at most 5 and the others", len(sv.Nodes))
					}
				}
			}
		})
	}
	s := openStream(t, server.URL+"/hystrix.stream")
	for range 20 {
		if _, ok := s.next(); !ok {
			t.Fatal("the stream has ended")
		}
	}
	cancel()
	wg.Wait()
}

// swapping is a source that reports another set whenever it is told to.
type swapping struct{ report func([]selector.Node, error) }

func (s *swapping) Watch(report func([]selector.Node, error)) error {
	s.report = report
	s.swap(0)
	return nil
}

func (s *swapping) swap(i int) {
	var set []selector.Node
	for j := range 3 + i%5 {
		set = append(set, selector.Node{Addr: fmt.Sprintf("10.0.%d.1:80", (i+j)%100)})
	}
	s.report(set, nil)
}

func (s *swapping) Close() error { return nil }

package httpwrap

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

// src is a body that counts how often it is closed.
type src struct {
	io.Reader
	closed atomic.Int64
}

func (s *src) Close() error {
	s.closed.Add(1)
	return nil
}

func mustView(t testing.TB, r *replay) io.ReadCloser {
	t.Helper()
	v, err := r.view()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestReplayModel: whatever is read by whom, each attempt that is allowed
// reads the whole body from its beginning, and it is closed once, at the end.
func TestReplayModel(t *testing.T) {
	t.Parallel()
	const content = "The quick brown fox jumps over the lazy dog."
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		limit := rnd.Int64N(60)
		s := &src{Reader: iotest.OneByteReader(strings.NewReader(content))}
		r := newReplay(s, -1, limit)
		read, lost := 0, false // of the source
		var views []io.ReadCloser
		for range 1 + rnd.IntN(4) {
			r.thaw()
			v, err := r.view()
			if lost != errors.Is(err, ErrBodyTooLarge) {
				t.Fatalf("seed %d: %d read of a limit of %d: %v", seed, read, limit, err)
			}
			if err != nil {
				break
			}
			views = append(views, v)
			n := rnd.IntN(len(content) + 1)
			b := make([]byte, n)
			if _, err := io.ReadFull(v, b); err != nil || string(b) != content[:n] {
				t.Fatalf("seed %d: %q, %v", seed, b, err)
			}
			read = max(read, n)
			lost = lost || int64(read) > limit
			if got := r.freeze(); got == lost {
				t.Fatalf("seed %d: %d read of a limit of %d: can be sent again: %v", seed, read, limit, got)
			}
		}
		r.forget()
		rnd.Shuffle(len(views), func(i, j int) { views[i], views[j] = views[j], views[i] })
		for _, v := range views {
			_ = v.Close()
			_ = v.Close()
			if s.closed.Load() != 0 {
				t.Fatalf("seed %d: closed while the call uses it", seed)
			}
		}
		if _ = r.release(); s.closed.Load() != 1 {
			t.Fatalf("seed %d: closed %d times", seed, s.closed.Load())
		}
	}
}

// TestReplayEnd: the end and the error are remembered for the next attempt.
func TestReplayEnd(t *testing.T) {
	t.Parallel()
	errOwn := errors.New("own")
	for _, end := range []error{io.EOF, errOwn} {
		r := newReplay(&src{Reader: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(end))}, -1, 10)
		for range 2 {
			v := mustView(t, r)
			b, err := io.ReadAll(v)
			if string(b) != "abc" || (!errors.Is(end, io.EOF) && !errors.Is(err, end)) || (errors.Is(end, io.EOF) && err != nil) {
				t.Errorf("%q, %v", b, err)
			}
			if _, err := v.Read(nil); !errors.Is(err, end) {
				t.Errorf("read on: %v", err)
			}
		}
		if got := r.failed(); (got == nil) != errors.Is(end, io.EOF) {
			t.Errorf("failed: %v of %v", got, end)
		}
	}
}

// TestReplayTakesOver: an attempt that is over is still reading when the next
// begins. What it gets is not lost, whatever the limit.
func TestReplayTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		r := newReplay(pr, -1, 4)
		old := mustView(t, r)
		go func() { _, _ = old.Read(make([]byte, 100)) }()
		synctest.Wait() // it waits for the source
		if !r.freeze() {
			t.Error("nothing was read, and it cannot be sent again")
		}
		r.thaw()
		v := mustView(t, r)
		var wg sync.WaitGroup
		wg.Go(func() {
			b, err := io.ReadAll(v)
			if string(b) != "twelve bytes and more" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		})
		synctest.Wait()
		_, _ = io.WriteString(pw, "twelve bytes")
		_, _ = io.WriteString(pw, " and more")
		_ = pw.Close()
		wg.Wait()
		if _, err := old.Read(make([]byte, 1)); !errors.Is(err, errSuperseded) {
			t.Errorf("the old attempt reads on: %v", err)
		}
		if _, err := r.view(); !errors.Is(err, ErrBodyTooLarge) {
			t.Errorf("sent a third time: %v", err)
		}
	})
}

// TestReplayCloseWakes: closing ends a read that waits for its turn.
func TestReplayCloseWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		r := newReplay(pr, -1, 4)
		old := mustView(t, r)
		go func() { _, _ = old.Read(make([]byte, 100)) }()
		synctest.Wait()
		v := mustView(t, r)
		done := make(chan error)
		go func() {
			_, err := v.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		v.Close()
		if err := <-done; !errors.Is(err, errSuperseded) {
			t.Errorf("%v", err)
		}
		old.Close()
		_ = r.release()
		if _, err := pw.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the source is open: %v", err)
		}
	})
}

// TestReplayFrozenWaits: after the promise of another attempt an upload that
// goes on is read up to the limit and waits there, until the next attempt takes
// over, the promise is taken back, or there is no attempt any more.
func TestReplayFrozenWaits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		then func(r *replay) io.ReadCloser
		old  string // what the upload reads in all
		err  error
	}{
		"next attempt":  {func(r *replay) io.ReadCloser { v, _ := r.view(); return v }, "abcd", errSuperseded},
		"taken back":    {func(r *replay) io.ReadCloser { r.thaw(); return nil }, "abcdefgh", nil},
		"call is over":  {func(r *replay) io.ReadCloser { r.forget(); return nil }, "abcdefgh", nil},
		"upload closed": {func(r *replay) io.ReadCloser { _ = r.newest.Close(); return nil }, "abcd", errSuperseded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReplay(&src{Reader: strings.NewReader("abcdefgh")}, -1, 4)
				old := mustView(t, r)
				_, _ = io.ReadFull(old, make([]byte, 2))
				if !r.freeze() {
					t.Fatal("within the limit, and it cannot be sent again")
				}
				var got []byte
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					got, err = io.ReadAll(old)
				}()
				synctest.Wait()
				r.mu.Lock()
				if string(r.kept) != "abcd" || r.lost {
					t.Errorf("%q kept of a limit of 4, lost %v", r.kept, r.lost)
				}
				r.mu.Unlock()
				next := tt.then(r)
				<-done
				if "ab"+string(got) != tt.old || !errors.Is(err, tt.err) {
					t.Errorf("the upload read ab%s, %v; want %s, %v", got, err, tt.old, tt.err)
				}
				if next != nil {
					r.thaw()
					if b, err := io.ReadAll(next); string(b) != "abcdefgh" || err != nil {
						t.Errorf("the next attempt read %q, %v", b, err)
					}
				}
			})
		})
	}
}

// TestReplayLimitZero: what is larger than the limit is not kept at all, and
// can be sent again as long as nobody has read of it.
func TestReplayLimitZero(t *testing.T) {
	t.Parallel()
	r := newReplay(&src{Reader: strings.NewReader("abcdefgh")}, 8, 2)
	v := mustView(t, r)
	if !r.freeze() {
		t.Error("nothing was read of it, and it cannot be sent again")
	}
	r.thaw()
	_, _ = io.ReadFull(v, make([]byte, 1))
	if r.freeze() {
		t.Error("larger than the limit, begun, and still kept")
	}
}

package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

func always(*http.Request) bool { return true }

// TestInProgress: while the first runs, others with its key are told so; when
// it has ended, they get its answer.
func TestInProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		h := wrap(t, idempotency.Config{Rerun: always}, func(http.ResponseWriter, *http.Request) {
			runs++
			<-time.After(time.Second)
		})
		var first sync.WaitGroup
		first.Go(func() { served(h, asked(t, `"k"`, "body")) })
		synctest.Wait()
		if w := served(h, asked(t, `"k"`, "body")); w.Code != 409 || word(w) != idempotency.InProgress || w.Header().Get(idempotency.HeaderExpires) != "86400" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if w := served(h, asked(t, `"k"`, "other")); w.Code != 422 {
			t.Errorf("another payload meanwhile: %d", w.Code)
		}
		first.Wait()
		if w := served(h, asked(t, `"k"`, "body")); w.Code != 200 || word(w) != idempotency.Replayed || runs != 1 {
			t.Errorf("%d %q, %d runs", w.Code, word(w), runs)
		}
	})
}

// dies runs h in a goroutine that ends in the middle of it, as a process would:
// nothing of the guard runs any more.
func dies(t *testing.T, store idempotency.Store, cfg idempotency.Config, r *http.Request) {
	t.Helper()
	cfg.Store = &broken{Store: store, before: func(call string) error {
		if call != "reserve" {
			return errAway
		}
		return nil
	}}
	cfg.StoreTimeout = time.Nanosecond
	h := wrap(t, cfg, func(http.ResponseWriter, *http.Request) { panic("killed") })
	defer func() { _ = recover() }()
	served(h, r)
}

// TestCrash: a server that is gone between the reservation and the commit. It
// is in progress for the rest of the lease, and unknown from then on; run
// again only where that is allowed.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, rerun := range []bool{false, true} {
		t.Run(fmt.Sprintf("rerun=%v", rerun), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, runs, run := memory(), 0, 0
				cfg := idempotency.Config{Lease: 10 * time.Second, Lifetime: time.Minute}
				if rerun {
					cfg.Rerun = always
				}
				dies(t, store, cfg, asked(t, `"k"`, "body"))
				cfg.Store = store
				h := wrap(t, cfg, func(_ http.ResponseWriter, r *http.Request) {
					runs++
					run = idempotency.From(r.Context()).Run()
				})
				<-time.After(9 * time.Second)
				if w := served(h, asked(t, `"k"`, "body")); w.Code != 409 || word(w) != idempotency.InProgress {
					t.Errorf("within the lease: %d %q", w.Code, word(w))
				}
				<-time.After(time.Second)
				w := served(h, asked(t, `"k"`, "body"))
				if rerun {
					if w.Code != 200 || word(w) != "" || runs != 1 || run != 2 {
						t.Errorf("after the lease: %d %q, %d runs, this one number %d", w.Code, word(w), runs, run)
					}
					return
				}
				if w.Code != 500 || word(w) != idempotency.Unknown || runs != 0 || w.Header().Get(idempotency.HeaderExpires) != "50" {
					t.Errorf("after the lease: %d %v, %d runs", w.Code, w.Header(), runs)
				}
				if w := served(h, asked(t, `"k"`, "other")); w.Code != 422 {
					t.Errorf("another payload: %d", w.Code)
				}
				<-time.After(50 * time.Second)
				if w := served(h, asked(t, `"k"`, "other")); w.Code != 200 || runs != 1 {
					t.Errorf("after the lifetime: %d, %d runs", w.Code, runs)
				}
			})
		})
	}
}

// TestPanic: the panic goes on; a repeat need not wait for the lease.
func TestPanic(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){
		"panic": func() { panic("boom") }, "abort": func() { panic(http.ErrAbortHandler) }, "goexit": runtime.Goexit,
	} {
		for _, rerun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/rerun=%v", name, rerun), func(t *testing.T) {
				t.Parallel()
				runs := 0
				var events []idempotency.Event
				cfg := idempotency.Config{OnEvent: func(e idempotency.Event) { events = append(events, e) }}
				if rerun {
					cfg.Rerun = always
				}
				h := wrap(t, cfg, func(w http.ResponseWriter, _ *http.Request) {
					if runs++; runs == 1 {
						w.WriteHeader(201)
						end()
					}
				})
				passed := false
				var first sync.WaitGroup
				first.Add(1)
				go func() {
					defer first.Done()
					defer func() { passed = recover() != nil || name == "goexit" }()
					served(h, asked(t, `"k"`, ""))
					t.Error("the handler's end did not pass")
				}()
				first.Wait()
				if !passed || len(events) != 1 || events[0].Status != idempotency.Unknown || events[0].Err != nil {
					t.Errorf("passed: %v; heard %+v", passed, events)
				}
				w := served(h, asked(t, `"k"`, ""))
				if rerun && (w.Code != 200 || runs != 2) || !rerun && (w.Code != 500 || word(w) != idempotency.Unknown || runs != 1) {
					t.Errorf("then %d %q, %d runs", w.Code, word(w), runs)
				}
			})
		}
	}
}

// TestReleaseAndPanic: what the handler said before counts.
func TestReleaseAndPanic(t *testing.T) {
	t.Parallel()
	runs := 0
	h := wrap(t, idempotency.Config{}, func(_ http.ResponseWriter, r *http.Request) {
		if runs++; runs == 1 {
			idempotency.From(r.Context()).Release()
			panic("boom")
		}
	})
	func() {
		defer func() { _ = recover() }()
		served(h, asked(t, `"k"`, ""))
	}()
	if w := served(h, asked(t, `"k"`, "")); w.Code != 200 || runs != 2 {
		t.Errorf("%d, %d runs", w.Code, runs)
	}
}

// TestClientLeaves: the handler runs on, and the client that comes back gets
// the answer.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	runs := 0
	left, leave := context.WithCancel(t.Context())
	h := wrap(t, idempotency.Config{}, func(w http.ResponseWriter, r *http.Request) {
		runs++
		leave()
		if err := r.Context().Err(); err != nil {
			t.Errorf("the handler is told that its client has left: %v", err)
		}
		select {
		case <-r.Context().Done():
			t.Error("the handler's context has ended")
		default:
		}
		if context.Cause(r.Context()) != nil {
			t.Error(context.Cause(r.Context()))
		}
		fmt.Fprint(w, "done")
	})
	served(h, asked(t, `"k"`, "").WithContext(left))
	if w := served(h, asked(t, `"k"`, "")); w.Code != 200 || w.Body.String() != "done" || word(w) != idempotency.Replayed || runs != 1 {
		t.Errorf("%d %q %q, %d runs", w.Code, w.Body, word(w), runs)
	}
}

// TestHandlerContext: it ends with the lease, or the handler; it has the
// request's values.
func TestHandlerContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type name struct{}
		var kept context.Context
		h := wrap(t, idempotency.Config{Lease: time.Minute}, func(_ http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			kept = ctx
			began := time.Now()
			if until, ok := ctx.Deadline(); !ok || until.Sub(began) != time.Minute || ctx.Value(name{}) != "value" {
				t.Errorf("deadline %v %v, value %v", until, ok, ctx.Value(name{}))
			}
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			if r.Header.Get("Wait") != "" {
				<-child.Done()
				if time.Since(began) != time.Minute || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
					t.Errorf("ended after %v: %v", time.Since(began), ctx.Err())
				}
			}
		})
		r := asked(t, `"a"`, "")
		r = r.WithContext(context.WithValue(r.Context(), name{}, "value"))
		served(h, r)
		if !errors.Is(kept.Err(), context.Canceled) {
			t.Errorf("after the handler: %v", kept.Err())
		}
		<-kept.Done()
		r = r.Clone(r.Context())
		r.Header.Set(idempotency.HeaderKey, `"b"`)
		r.Header.Set("Wait", "1")
		served(h, r)
	})
}

// TestLeaseRunsOut: a handler that outlives its lease may still commit, as
// long as nobody has taken its key over; afterwards it is fenced, and the
// record stays the other's.
func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	for _, rerun := range []bool{false, true} {
		t.Run(fmt.Sprintf("rerun=%v", rerun), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var events []idempotency.Event
				var mu sync.Mutex
				cfg := idempotency.Config{Lease: time.Second, OnEvent: func(e idempotency.Event) {
					mu.Lock()
					defer mu.Unlock()
					events = append(events, e)
				}}
				if rerun {
					cfg.Rerun = always
				}
				var tokens []int64
				h := wrap(t, cfg, func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					tokens = append(tokens, idempotency.From(r.Context()).Token())
					run := len(tokens)
					mu.Unlock()
					if run == 1 {
						<-time.After(time.Minute) // it ignores its context
					}
					fmt.Fprint(w, "run ", run)
				})
				var first sync.WaitGroup
				first.Go(func() {
					if w := served(h, asked(t, `"k"`, "")); w.Body.String() != "run 1" {
						t.Errorf("the first is answered %d %q", w.Code, w.Body)
					}
				})
				<-time.After(2 * time.Second)
				w := served(h, asked(t, `"k"`, ""))
				if rerun && w.Body.String() != "run 2" || !rerun && (w.Code != 500 || word(w) != idempotency.Unknown) {
					t.Errorf("meanwhile: %d %q %q", w.Code, word(w), w.Body)
				}
				first.Wait()
				last := events[len(events)-1]
				if errors.Is(last.Err, idempotency.ErrFenced) != rerun {
					t.Errorf("the first ended with %v", last.Err)
				}
				want := "run 1"
				if rerun {
					if want = "run 2"; len(tokens) != 2 || tokens[1] <= tokens[0] {
						t.Errorf("tokens %v", tokens)
					}
				}
				if w := served(h, asked(t, `"k"`, "")); w.Body.String() != want || word(w) != idempotency.Replayed {
					t.Errorf("at the end: %q %q, want %q", word(w), w.Body, want)
				}
			})
		})
	}
}

// TestCommitFails: the handler has run, the store cannot be told. The commit is
// tried again for a while; the client is given the answer, which is true.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprintf("back=%v", back), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, tries, runs := time.Now(), 0, 0
				store := &broken{Store: memory(), before: func(call string) error {
					if call == "complete" && (!back || time.Since(began) < time.Second) {
						tries++
						return errAway
					}
					return nil
				}}
				var last idempotency.Event
				h := wrap(t, idempotency.Config{Store: store, OnEvent: func(e idempotency.Event) { last = e }}, func(w http.ResponseWriter, _ *http.Request) {
					runs++
					w.WriteHeader(201)
				})
				if w := served(h, asked(t, `"k"`, "")); w.Code != 201 || tries < 2 || time.Since(began) > 2*time.Second {
					t.Errorf("%d after %d tries, %v", w.Code, tries, time.Since(began))
				}
				if errors.Is(last.Err, errAway) == back {
					t.Errorf("heard %+v", last)
				}
				w := served(h, asked(t, `"k"`, ""))
				if back && word(w) != idempotency.Replayed || !back && word(w) != idempotency.InProgress || runs != 1 {
					t.Errorf("then %d %q, %d runs", w.Code, word(w), runs)
				}
			})
		})
	}
}

// TestStoreHangs: a store that does not answer is given up.
func TestStoreHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := wrap(t, idempotency.Config{Store: hanging{memory()}, StoreTimeout: time.Second}, new(counter).ServeHTTP)
		if w := served(h, asked(t, `"k"`, "")); w.Code != 503 || time.Since(began) != time.Second+time.Second/4 {
			t.Errorf("%d after %v", w.Code, time.Since(began))
		}
	})
}

type hanging struct{ *idempotency.Memory }

func (hanging) Reserve(ctx context.Context, _ idempotency.Key, _ idempotency.Reservation) (idempotency.Found, error) {
	<-ctx.Done()
	return idempotency.Found{}, ctx.Err()
}

func (hanging) Release(ctx context.Context, _ idempotency.Key, _ idempotency.Owner) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestGarbage: a store that returns what it was never given.
func TestGarbage(t *testing.T) {
	t.Parallel()
	for _, found := range []idempotency.Found{{}, {State: 99}, {State: idempotency.Done}, {State: idempotency.Done, Answer: []byte("garbage")}} {
		var handler counter
		h := wrap(t, idempotency.Config{Store: lying{memory(), found}}, handler.ServeHTTP)
		if w := served(h, asked(t, `"k"`, "")); w.Code < 500 || handler.total() != 0 {
			t.Errorf("%+v: %d, %d runs", found, w.Code, handler.total())
		}
	}
}

type lying struct {
	*idempotency.Memory
	found idempotency.Found
}

func (l lying) Reserve(context.Context, idempotency.Key, idempotency.Reservation) (idempotency.Found, error) {
	return l.found, nil
}

// TestBrokenUpload: a body that does not arrive whole runs nothing.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	var handler counter
	h := wrap(t, idempotency.Config{}, handler.ServeHTTP)
	r := asked(t, `"k"`, "")
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(asked(t, "", "half").Body, failing{})), 8
	if w := served(h, r); w.Code != 400 || handler.total() != 0 {
		t.Errorf("%d, %d runs", w.Code, handler.total())
	}
	if w := served(h, asked(t, `"k"`, "whole")); w.Code != 201 {
		t.Errorf("then %d", w.Code)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

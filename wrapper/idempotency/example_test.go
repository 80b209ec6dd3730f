package idempotency_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// A handler that charges somebody: the repeat of a request is given the first
// answer, and nobody is charged twice.
func Example() {
	charges := 0
	charge := func(w http.ResponseWriter, _ *http.Request) {
		charges++
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "charge %d", charges)
	}

	guard, err := idempotency.New(idempotency.Config{
		Required: true,
		Tenant:   func(r *http.Request) string { user, _, _ := r.BasicAuth(); return user },
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /charges", guard.Wrap(http.HandlerFunc(charge)))

	for _, amount := range []string{"10", "10", "99"} {
		r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader(amount)) //nolint:noctx // the shortest form
		r.Header.Set(idempotency.HeaderKey, `"8e03978e-40d5-43e8-bc93-6894a57f9324"`)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get(idempotency.HeaderStatus), strings.SplitN(w.Body.String(), ",", 2)[0])
	}
	// Output:
	// 201  charge 1
	// 201 replayed charge 1
	// 422 not-executed {"title":"The Idempotency-Key was used for another request"
}

// A handler says that it has done nothing: the same request may come again.
func ExampleExecution_Release() {
	locked := true
	handler := func(w http.ResponseWriter, r *http.Request) {
		if locked {
			idempotency.From(r.Context()).Release()
			http.Error(w, "the account is locked, try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "done")
	}
	guard, err := idempotency.New(idempotency.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, "/transfers", http.NoBody) //nolint:noctx // the shortest form
		r.Header.Set(idempotency.HeaderKey, `"k"`)
		w := httptest.NewRecorder()
		guard.Wrap(http.HandlerFunc(handler)).ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get(idempotency.HeaderStatus))
		locked = false
	}
	// Output:
	// 503 not-executed
	// 200
}

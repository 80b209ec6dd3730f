package idempotency_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

// TestAllocations: a new key costs at most eight more than the bare handler.
func TestAllocations(t *testing.T) {
	if raceOn {
		t.Skip("the race detector allocates")
	}
	g, err := idempotency.New(idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	bare := http.HandlerFunc(order)
	cost := func(h http.Handler) float64 {
		const payload = `{"item":"book"}`
		reader := strings.NewReader(payload)
		body := io.NopCloser(reader)
		r := asked(t, "", "")
		r.ContentLength = int64(len(payload))
		value := make([]string, 1)
		r.Header[idempotency.HeaderKey] = value
		w := &sink{header: make(http.Header)}
		keys := make([]string, 2000)
		for i := range keys {
			keys[i] = `"` + strconv.Itoa(i) + `"`
		}
		i := 0
		return testing.AllocsPerRun(len(keys)-1, func() {
			value[0] = keys[i]
			i++
			reader.Reset(payload)
			r.Body = body
			clear(w.header)
			h.ServeHTTP(w, r)
		})
	}
	if with, without := cost(g.Wrap(bare)), cost(bare); with-without > 8 {
		t.Errorf("%v allocations, %v without the guard: want at most 8 more", with, without)
	} else {
		t.Logf("%v allocations, %v without the guard", with, without)
	}
}

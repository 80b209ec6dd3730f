package benchmarks

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	fiber2 "github.com/gofiber/fiber/v2"
	idempotency2 "github.com/gofiber/fiber/v2/middleware/idempotency"
	fiber3 "github.com/gofiber/fiber/v3"
	idempotency3 "github.com/gofiber/fiber/v3/middleware/idempotency"
	"github.com/valyala/fasthttp"

	"github.com/holdfast-go/holdfast/wrapper/idempotency"
)

const (
	orderPayload = `{"item":"book","count":1,"note":"a payload as small as most are"}`
	orderAnswer  = `{"order":42,"state":"created"}`
)

// BenchmarkIdempotency is a POST with a new key, one that is replayed, and the
// same handler bare. The peers are fiber's middleware in its two major
// versions, on fasthttp and with their default storage in memory; they neither fingerprint
// payloads nor scope keys. Compare what each adds to its own bare handler.
func BenchmarkIdempotency(b *testing.B) {
	for _, stack := range []struct {
		name  string
		serve func(guarded bool) func(key string) int
	}{{"holdfast", serveGuard}, {"fiber3", serveFiber3}, {"fiber2", serveFiber2}} {
		for _, mode := range []string{"bare", "fresh", "replay"} {
			b.Run("stack="+stack.name+"/mode="+mode, func(b *testing.B) {
				serve := stack.serve(mode != "bare")
				keys := make([]string, 1)
				if mode == "fresh" {
					keys = make([]string, 1<<16) // the store does not grow without end
				}
				for i := range keys {
					keys[i] = fmt.Sprintf("%036d", i)
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if mode == "fresh" && i > 0 && i%len(keys) == 0 {
						b.StopTimer()
						serve = stack.serve(true)
						b.StartTimer()
					}
					if code := serve(keys[i%len(keys)]); code != http.StatusCreated {
						b.Fatal(code)
					}
				}
			})
		}
	}
}

// sink is a ResponseWriter that costs little.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func serveGuard(guarded bool) func(string) int {
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, orderAnswer)
	})
	if guarded {
		g, err := idempotency.New(idempotency.Config{Unquoted: true})
		if err != nil {
			panic(err)
		}
		h = g.Wrap(h)
	}
	reader := strings.NewReader(orderPayload)
	body := io.NopCloser(reader)
	req := httptest.NewRequest(http.MethodPost, "/orders", http.NoBody) //nolint:noctx // nobody waits
	req.ContentLength = int64(len(orderPayload))
	value := make([]string, 1)
	req.Header[idempotency.HeaderKey] = value
	w := &sink{header: make(http.Header)}
	return func(key string) int {
		value[0] = key
		reader.Reset(orderPayload)
		req.Body = body
		clear(w.header)
		h.ServeHTTP(w, req)
		return w.status
	}
}

func serveFiber3(guarded bool) func(string) int {
	app := fiber3.New()
	if guarded {
		app.Use(idempotency3.New())
	}
	app.Post("/orders", func(c fiber3.Ctx) error {
		c.Set("Content-Type", "application/json")
		return c.Status(http.StatusCreated).SendString(orderAnswer)
	})
	return serveFast(app.Handler())
}

func serveFiber2(guarded bool) func(string) int {
	app := fiber2.New()
	if guarded {
		app.Use(idempotency2.New())
	}
	app.Post("/orders", func(c *fiber2.Ctx) error {
		c.Set("Content-Type", "application/json")
		return c.Status(http.StatusCreated).SendString(orderAnswer)
	})
	return serveFast(app.Handler())
}

func serveFast(h fasthttp.RequestHandler) func(string) int {
	ctx := new(fasthttp.RequestCtx)
	return func(key string) int {
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.ResetUserValues()
		ctx.Request.Header.SetMethod(http.MethodPost)
		ctx.Request.SetRequestURI("/orders")
		ctx.Request.Header.Set("X-Idempotency-Key", key)
		ctx.Request.SetBodyString(orderPayload)
		h(ctx)
		return ctx.Response.StatusCode()
	}
}

package httpwrap_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// TestPrecedence: hint, then what the request says, then the method's
// setting, then the protocol.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	none := retry.Unspecified
	tests := []struct {
		name    string
		method  string
		hint    resilience.Hint
		key     string
		setting retry.Idempotency
		assume  bool
		want    retry.Idempotency
	}{
		{"protocol", "PUT", resilience.Hint{}, "", none, false, retry.Idempotent},
		{"protocol says nothing", "POST", resilience.Hint{}, "", none, false, none},
		{"setting over protocol", "PUT", resilience.Hint{}, "", retry.NonIdempotent, false, retry.NonIdempotent},
		{"setting where the protocol says nothing", "POST", resilience.Hint{}, "", retry.Idempotent, false, retry.Idempotent},
		{"request over setting", "POST", resilience.Hint{}, "k", retry.NonIdempotent, false, retry.Keyed},
		{"request over protocol", "PUT", resilience.Hint{}, "k", none, false, retry.Keyed},
		{"hint over request", "POST", resilience.Hint{Idempotency: retry.NonIdempotent}, "k", retry.Idempotent, false, retry.NonIdempotent},
		{"hint over setting", "GET", resilience.Hint{Idempotency: retry.NonIdempotent}, "", retry.Safe, false, retry.NonIdempotent},
		{"hint's key", "POST", resilience.Hint{Key: "k"}, "", none, false, retry.Keyed},
		{"hint's key, and better knowledge", "POST", resilience.Hint{Key: "k", Idempotency: retry.NonIdempotent}, "", none, false, retry.NonIdempotent},
		{"hint's default", "POST", resilience.Hint{Default: retry.Idempotent}, "", none, false, retry.Idempotent},
		{"setting over hint's default", "POST", resilience.Hint{Default: retry.Idempotent}, "", retry.NonIdempotent, false, retry.NonIdempotent},
		{"assumed", "POST", resilience.Hint{}, "", none, true, retry.Keyed},
		{"setting over assumption", "POST", resilience.Hint{}, "", retry.NonIdempotent, true, retry.NonIdempotent},
		{"protocol over assumption", "DELETE", resilience.Hint{}, "", none, true, retry.Idempotent},
		{"hint over assumption", "POST", resilience.Hint{Idempotency: retry.NonIdempotent}, "", none, true, retry.NonIdempotent},
	}
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events := new(recorder)
			tr := http1.newTransport(t, config{
				AssumeServerDeduplicates: tt.assume,
				Services: services{host: {Observer: events, Settings: settings{
					Methods: map[string]resilience.MethodSettings{tt.method: {Idempotency: tt.setting}},
				}}},
			}, n.addr())
			req := requestWith(httpwrap.WithHint(t.Context(), tt.hint), t, tt.method, http1.url("/"), "")
			if tt.key != "" {
				req.Header.Set("Idempotency-Key", tt.key)
			}
			if got := send(t, tr, req); got.err != nil {
				t.Fatal(got.err)
			}
			if got := lastAttempt(events).Idempotency; got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// TestKeyOnTheWire: which key is sent, and told.
func TestKeyOnTheWire(t *testing.T) {
	t.Parallel()
	var got http.Header
	n := http1.serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	tests := []struct {
		name   string
		method string
		header http.Header
		hint   resilience.Hint
		assume bool
		want   string // a regular expression
		other  string // X-Idempotency-Key
	}{
		{"none", "POST", nil, resilience.Hint{}, false, "^$", ""},
		{"the request's", "POST", http.Header{"Idempotency-Key": {`"k"`}}, resilience.Hint{}, true, `^"k"$`, ""},
		{"the request's, as it is", "PATCH", http.Header{"Idempotency-Key": {`k`}}, resilience.Hint{}, false, `^k$`, ""},
		{"the request's, in lower case already", "POST", http.Header{"idempotency-key": {`k`}}, resilience.Hint{}, true, `^k$`, ""},
		{"the request's other", "POST", http.Header{"X-Idempotency-Key": {`k`}}, resilience.Hint{}, true, `^$`, "k"},
		{"the request's both", "POST", http.Header{"Idempotency-Key": {`a`}, "X-Idempotency-Key": {`b`}}, resilience.Hint{}, true, `^a$`, "b"},
		{"the hint's", "POST", nil, resilience.Keyed("m", "k"), false, `^"k"$`, ""},
		{"the hint's, quoted", "POST", nil, resilience.Keyed("m", `"k"`), false, `^"k"$`, ""},
		{"the hint's, with quotes in it", "POST", nil, resilience.Keyed("m", `a"b\c`), false, `^"a\\"b\\\\c"$`, ""},
		{"the hint's over the request's", "POST", http.Header{"Idempotency-Key": {`a`}, "X-Idempotency-Key": {`b`}}, resilience.Keyed("m", "k"), true, `^"k"$`, ""},
		{"the hint's over the request's, in lower case", "POST", http.Header{"x-idempotency-key": {`b`}}, resilience.Keyed("m", "k"), true, `^"k"$`, ""},
		{"the hint's, of a GET", "GET", nil, resilience.Keyed("m", "k"), false, `^"k"$`, ""},
		{"a new one", "POST", nil, resilience.Hint{}, true, `^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`, ""},
		{"none for a GET", "GET", nil, resilience.Hint{}, true, "^$", ""},
		{"none for a PUT", "PUT", nil, resilience.Hint{}, true, "^$", ""},
		{"none where it would not help", "POST", nil, resilience.Unsafe("m"), true, "^$", ""},
		{"net/http's mark", "POST", http.Header{"Idempotency-Key": {}}, resilience.Hint{}, false, "^$", ""},
	}
	for _, tt := range tests {
		tr := http1.newTransport(t, config{AssumeServerDeduplicates: tt.assume}, n.addr())
		req := requestWith(httpwrap.WithHint(t.Context(), tt.hint), t, tt.method, http1.url("/"), "x")
		for k, v := range tt.header {
			req.Header[k] = v
		}
		before := req.Header.Clone()
		answer := send(t, tr, req)
		if answer.err != nil {
			t.Fatal(answer.err)
		}
		key := got.Get("Idempotency-Key")
		if !regexp.MustCompile(tt.want).MatchString(key) || got.Get("X-Idempotency-Key") != tt.other || len(got["Idempotency-Key"]) > 1 {
			t.Errorf("%s: %q and %q sent, want %s and %q", tt.name, got["Idempotency-Key"], got["X-Idempotency-Key"], tt.want, tt.other)
		}
		if told := answer.facts.Key; told != key && told != tt.other {
			t.Errorf("%s: %q sent, %q told", tt.name, key, told)
		}
		for k := range req.Header {
			if _, ok := before[k]; !ok {
				t.Errorf("%s: the request was changed: %v", tt.name, req.Header)
			}
		}
	}
}

// TestBadKey is an error that can be matched, before anything is sent.
func TestBadKey(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	tr := http1.newTransport(t, config{}, n.addr())
	for _, key := range []string{"ключ", "a\nb", strings.Repeat("x", 256)} {
		ctx := httpwrap.WithHint(t.Context(), resilience.Keyed("m", key))
		got := send(t, tr, requestWith(ctx, t, "POST", http1.url("/"), ""))
		if e, ok := find[*httpwrap.Error](got.err); !ok || e.Unwrap() != httpwrap.ErrBadKey || got.facts.Attempts != 0 || got.facts.Service != host { //nolint:errorlint // it is the cause itself
			t.Errorf("%q: %v, %+v", key, got.err, got.facts)
		}
	}
}

// TestMethodNames: the settings' names of operations.
func TestMethodNames(t *testing.T) {
	t.Parallel()
	n := http1.serve(t, func(http.ResponseWriter, *http.Request) {})
	plain := http1.newTransport(t, config{}, n.addr())
	named := http1.newTransport(t, config{Method: func(r *http.Request) string { return r.Method + " " + r.URL.Path }}, n.addr())
	hinted := httpwrap.WithHint(t.Context(), resilience.Safe("hinted"))
	for _, tt := range []struct {
		tr      *httpwrap.Transport
		ctx     context.Context
		pattern string
		want    string
	}{
		{plain, t.Context(), "", "GET"},
		{plain, t.Context(), "GET /user/{id}", "GET /user/{id}"},
		{named, t.Context(), "GET /user/{id}", "GET /user/7"},
		{named, hinted, "", "hinted"},
	} {
		req := requestWith(tt.ctx, t, "", http1.url("/user/7"), "")
		req.Method, req.Pattern = "GET", tt.pattern
		if got := send(t, tt.tr, req).facts.Method; got != tt.want {
			t.Errorf("method %q, want %q", got, tt.want)
		}
	}
	req := requestWith(t.Context(), t, "GET", http1.url("/"), "")
	req.Method = ""
	if got := send(t, plain, req).facts.Method; got != "GET" {
		t.Errorf("method %q of an empty one", got)
	}
}

package board

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

const secret = "correct horse battery staple"

// post sends an order, as its owner would unless change does something to it.
func post(t testing.TB, b *Board, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://board.example/holdfast/steer", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+secret)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
}

const ejectFirst = `{"service":"s","node":"10.0.0.1:8080","do":"eject","why":"for the test"}`

// TestNobodyGetsIn without the token, from another origin or in another way, and
// learns nothing by trying.
func TestNobodyGetsIn(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{Steer: BearerToken("ann", secret)})
	realClient(t, b, config{Service: "s", Nodes: addrs(2)})
	auth := func(value string) func(*http.Request) { return header("Authorization", value) }
	for name, row := range map[string]struct {
		change func(*http.Request)
		code   int
	}{
		"no token":              {auth(""), 401},
		"an empty token":        {auth("Bearer "), 401},
		"no scheme":             {auth(secret), 401},
		"another scheme":        {auth("Basic " + secret), 401},
		"half of it":            {auth("Bearer " + secret[:10]), 401},
		"more than it":          {auth("Bearer " + secret + "x"), 401},
		"a space more":          {auth("Bearer  " + secret), 401},
		"in capitals":           {auth("Bearer " + strings.ToUpper(secret)), 401},
		"in the query":          {func(r *http.Request) { auth("")(r); r.URL.RawQuery = "token=" + secret }, 401},
		"in a cookie":           {func(r *http.Request) { auth("")(r); r.AddCookie(&http.Cookie{Name: "Authorization", Value: "x"}) }, 401},
		"the second header":     {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer x", "Bearer " + secret} }, 401},
		"another site":          {header("Sec-Fetch-Site", "cross-site"), 403},
		"another subdomain":     {header("Sec-Fetch-Site", "same-site"), 403},
		"an old browser":        {header("Origin", "https://evil.example"), 403},
		"a page without origin": {header("Origin", "null"), 403},
		"a form":                {header("Content-Type", "application/x-www-form-urlencoded"), 415},
		"a form that hides it":  {header("Content-Type", "text/plain; charset=application/json"), 415},
		"no type":               {header("Content-Type", ""), 415},
		"GET":                   {func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"a method of the header's": {func(r *http.Request) {
			r.Method = http.MethodGet
			r.Header.Set("X-Http-Method-Override", "POST")
		}, 405},
	} {
		w := post(t, b, ejectFirst, row.change)
		if w.Code != row.code {
			t.Errorf("%s: %d, want %d", name, w.Code, row.code)
		}
		if text := w.Body.String(); strings.Contains(text, "10.0.0") || strings.Contains(text, secret) || strings.Contains(text, `"s"`) {
			t.Errorf("%s: is told %q", name, text)
		}
	}
	// What is asked about before who asks is known is answered alike, whatever there is.
	for _, body := range []string{ejectFirst, strings.Replace(ejectFirst, `"s"`, `"none"`, 1), "rubbish", strings.Repeat("x", 2*maxOrder)} {
		if w := post(t, b, body, auth("Bearer wrong")); w.Code != 401 || w.Body.String() != "not authenticated\n" {
			t.Errorf("%.20s: %d %q", body, w.Code, w.Body)
		}
	}
	if st := b.State(); st.Services[0].Nodes[0].Ejected || len(st.Log) != 1 {
		t.Errorf("something was done: %+v", st.Log)
	}
	for name, change := range map[string]func(*http.Request){
		"as it should be": nil,
		"in lower case":   auth("bearer " + secret),
		"from the board's page": func(r *http.Request) {
			header("Sec-Fetch-Site", "same-origin")(r)
			header("Origin", "https://board.example")(r)
		},
		"with a charset, as JSON": header("Content-Type", "application/json; charset=utf-8"),
	} {
		if w := post(t, b, ejectFirst, change); w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestSteeringIsOff unless it is asked for, and nobody is let in by mistake.
func TestSteeringIsOff(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		steer Authenticator
		code  int
	}{
		"no authenticator":     {nil, 404},
		"an empty token":       {BearerToken("ann", ""), 401},
		"nobody's name":        {func(*http.Request) (string, error) { return "", nil }, 401},
		"a name and an error":  {func(*http.Request) (string, error) { return "ann", errors.New("secret detail") }, 401},
		"a token without name": {BearerToken("", secret), 401},
	} {
		b := newBoard(t, Config{Steer: row.steer})
		realClient(t, b, config{Service: "s", Nodes: addrs(2)})
		for _, token := range []string{secret, ""} {
			w := post(t, b, ejectFirst, header("Authorization", "Bearer "+token))
			if w.Code != row.code || strings.Contains(w.Body.String(), "detail") {
				t.Errorf("%s: %d %q, want %d", name, w.Code, w.Body, row.code)
			}
		}
		if b.State().Services[0].Nodes[0].Ejected {
			t.Errorf("%s: ejected", name)
		}
		if b.State().Steering != (row.steer != nil) {
			t.Errorf("%s: steering is shown as %v", name, b.State().Steering)
		}
	}
}

// TestReadingBehindTheSame: what tells of the process, and nothing of it else.
func TestReadingBehindTheSame(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{Read: BearerToken("ann", secret)})
	realClient(t, b, config{Service: "topsecret"})
	for path, code := range map[string]int{
		"/state.json": 401, "/state.stream": 401, "/hystrix.stream": 401, "/x/state.json": 401,
		"/": 200, "/board.js": 200, "/board.css": 200,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := httptest.NewRecorder()
			b.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
			if w.Code != code || strings.Contains(w.Body.String(), "topsecret") {
				t.Errorf("%s %s: %d, want %d", method, path, w.Code, code)
			}
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/state.json", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "topsecret") {
		t.Errorf("with the token: %d", w.Code)
	}
}

// TestOrders: what each does, and that the log says who, when, why.
func TestOrders(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{Steer: BearerToken("ann", secret)})
	c := realClient(t, b, config{Service: "s", Nodes: addrs(3), Settings: sets{Attempts: 2, ServiceBreaker: &resilience.RuleSettings{}}})
	own := realClient(t, b, config{Service: "own", Nodes: addrs(2), Engine: mustFamily(t)})
	realClient(t, b, config{Service: "plain", Nodes: addrs(2), Engine: &plainEngine{}})
	circuit := c.ServiceBreaker().(*breaker.Circuit)
	node := func(c *resilience.Client) func() string {
		return func() string {
			s := c.Selector().Nodes()[0]
			in, _ := s.Breaker.(breaker.Inspector)
			return fmt.Sprintf("ejected %v, not ready %v, %v", s.Ejected, s.NotReady, in.Snapshot().Mode)
		}
	}
	guard := func() string {
		sn := circuit.Snapshot()
		return fmt.Sprintf("%v, %v, %v", sn.State, sn.Mode, sn.Shadow)
	}
	settings := func() string { s := c.Settings(); return fmt.Sprintf("%d, %v", s.Attempts, s.AttemptTimeout) }
	for _, row := range []struct {
		order string
		look  func() string
		want  string
	}{
		{`"service":"s","node":"10.0.0.1:8080","do":"eject"`, node(c), "ejected true, not ready false, auto"},
		{`"service":"s","node":"10.0.0.1:8080","do":"readmit"`, node(c), "ejected false, not ready false, auto"},
		{`"service":"s","node":"10.0.0.1:8080","do":"hold"`, node(c), "ejected false, not ready true, auto"},
		{`"service":"s","node":"10.0.0.1:8080","do":"release"`, node(c), "ejected false, not ready false, auto"},
		{`"service":"own","node":"10.0.0.1:8080","do":"force-open"`, node(own), "ejected false, not ready false, forced-open"},
		{`"service":"own","node":"10.0.0.1:8080","do":"auto"`, node(own), "ejected false, not ready false, auto"},
		{`"service":"s","do":"trip"`, guard, "open, auto, false"},
		{`"service":"s","do":"reset"`, guard, "closed, auto, false"},
		{`"service":"s","do":"force-open"`, guard, "open, forced-open, false"},
		{`"service":"s","do":"force-closed"`, guard, "closed, forced-closed, false"},
		{`"service":"s","do":"auto"`, guard, "closed, auto, false"},
		{`"service":"s","do":"shadow-on"`, guard, "closed, auto, true"},
		{`"service":"s","do":"shadow-off"`, guard, "closed, auto, false"},
		{`"service":"s","do":"settings","settings":{"attemptTimeout":"250ms"}`, settings, "2, 250ms"},
		{`"service":"s","do":"settings","settings":{"attempts":4}`, settings, "4, 250ms"},
	} {
		w := post(t, b, `{`+row.order+`,"why":"for the test"}`, nil)
		if w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", row.order, w.Code, w.Body)
		}
		if got := row.look(); got != row.want {
			t.Errorf("%s: %s, want %s", row.order, got, row.want)
		}
		log := b.State().Log
		e := log[len(log)-1]
		if e.Kind != "steered" || e.Who != "ann" || e.Why != "for the test" || !strings.Contains(row.order, e.Did[:4]) || e.At.IsZero() {
			t.Errorf("%s: the log says %+v", row.order, e)
		}
	}
	found := false
	for _, e := range b.State().Log {
		found = found || e.Kind == "ejected" && e.Reason.Note == "ann: for the test"
	}
	if !found {
		t.Error("the ejection does not say by whom")
	}

	entries := len(b.State().Log)
	for _, row := range []struct {
		order string
		code  int
		says  string
	}{
		{`"service":"none","do":"trip"`, 404, "service"},
		{`"service":"s","node":"nowhere","do":"eject"`, 409, "not in the set"},
		{`"service":"own","node":"nowhere","do":"trip"`, 404, "not in the set"},
		{`"service":"s","node":"10.0.0.1:8080","do":"force-open"`, 409, "ejector"},
		{`"service":"plain","node":"10.0.0.1:8080","do":"trip"`, 409, "cannot"},
		{`"service":"plain","node":"10.0.0.1:8080","do":"eject"`, 409, "cannot"},
		{`"service":"own","do":"trip"`, 409, "no breaker"},
		{`"service":"s","do":"dance"`, 400, "want one"},
		{`"service":"s","do":"settings"`, 400, "settings"},
		{`"service":"s","node":"10.0.0.1:8080","do":"settings","settings":{}`, 400, "no node"},
		{`"service":"s","do":"trip","settings":{}`, 400, "want none"},
		{`"service":"s","do":"settings","settings":{"atempts":3}`, 400, "atempts"},
		{`"service":"s","do":"settings","settings":{"attempts":-3}`, 400, "attempts"},
		{`"service":"s","do":"settings","settings":{"timeout":5}`, 400, "timeout"},
		{`"service":"s","do":"trip","force":true`, 400, "force"},
		{`"service":"s","do":"trip","why":" "`, 400, "why"},
		{`"service":"s","do":"trip","why":"` + strings.Repeat("x", maxText+1) + `"`, 400, "why"},
	} {
		body := `{"why":"for the test",` + row.order + `}`
		w := post(t, b, body, nil)
		if w.Code != row.code || !strings.Contains(w.Body.String(), row.says) {
			t.Errorf("%.80s: %d %s, want %d and %q", row.order, w.Code, w.Body, row.code, row.says)
		}
	}
	for body, code := range map[string]int{
		"":                      400,
		"[]":                    400,
		ejectFirst + ejectFirst: 400,
		`{"why":"` + strings.Repeat("x", 2*maxOrder): 413,
	} {
		if w := post(t, b, body, nil); w.Code != code {
			t.Errorf("%.40s: %d, want %d", body, w.Code, code)
		}
	}
	if got := settings(); got != "4, 250ms" || len(b.State().Log) != entries {
		t.Errorf("what was refused has changed something: %s, %d entries", got, len(b.State().Log)-entries)
	}
}

func mustFamily(t *testing.T) breaker.Engine {
	t.Helper()
	f, err := breaker.NewFamily(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTwoChangeSettings at once, each another: the second begins with what the
// first has left, and both are in force.
func TestTwoChangeSettings(t *testing.T) {
	t.Parallel()
	b := newBoard(t, Config{Steer: BearerToken("ann", secret)})
	src := &slowSource{Source: addrs(2)}
	c := realClient(t, b, config{Service: "s", Nodes: src})
	src.second = make(chan struct{})
	var wg sync.WaitGroup
	for _, patch := range []string{`{"attempts":7}`, `{"timeout":"3s"}`} {
		wg.Go(func() {
			if w := post(t, b, `{"service":"s","do":"settings","why":"x","settings":`+patch+`}`, nil); w.Code != http.StatusNoContent {
				t.Error(w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	if s := c.Settings(); s.Attempts != 7 || s.Timeout != 3*time.Second {
		t.Errorf("%+v", s)
	}
}

// slowSource is validated, as part of an update, for as long as it takes another
// update to get there, or a while.
type slowSource struct {
	selector.Source
	second chan struct{} // nil: it is not slow
	inside atomic.Int32
}

func (s *slowSource) Validate() error {
	if s.second == nil {
		return nil
	}
	if s.inside.Add(1) > 1 {
		close(s.second)
		return nil
	}
	select {
	case <-s.second:
	case <-time.After(50 * time.Millisecond):
		s.inside.Add(-1)
	}
	return nil
}

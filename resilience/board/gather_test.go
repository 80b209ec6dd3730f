package board

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
)

// process is another process's board, with one client of three nodes.
type process struct {
	board  *Board
	client *resilience.Client
	server *httptest.Server
	now    atomic.Pointer[Board] // at its address
}

func newProcess(t *testing.T, cfg Config) *process {
	t.Helper()
	p := &process{board: newBoard(t, cfg)}
	p.client = realClient(t, p.board, config{Service: "users", Nodes: addrs(3)})
	p.now.Store(p.board)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.now.Load().ServeHTTP(w, r) }))
	t.Cleanup(p.stop)
	return p
}

func (p *process) host() string { return strings.TrimPrefix(p.server.URL, "http://") }

func (p *process) stop() {
	_ = p.now.Load().Close()
	p.server.CloseClientConnections()
	p.server.Close()
}

// gathering is what a gathering's stream has told, and its stream.
type gathering struct {
	t      *testing.T
	stream *sse
	st     State
	log    []Entry
}

func newGathering(t *testing.T, cfg GatherConfig) *gathering {
	t.Helper()
	g, err := Gather(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = g.Close() })
	return &gathering{t: t, stream: openStream(t, server.URL+"/state.stream")}
}

// until reads the stream until what it has told is as wanted.
func (g *gathering) until(what string, ok func() bool) {
	g.t.Helper()
	for !ok() {
		name, data, more := g.stream.event()
		if !more {
			g.t.Fatalf("%s: the stream has ended with %+v", what, g.st.Processes)
		}
		var err error
		if name == "log" {
			var list []Entry
			err = json.Unmarshal([]byte(data), &list)
			g.log = append(g.log, list...)
		} else {
			g.st = State{}
			err = json.Unmarshal([]byte(data), &g.st)
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// heard counts the processes that are there.
func (g *gathering) heard() (n int) {
	for _, p := range g.st.Processes {
		if p.Error == "" {
			n++
		}
	}
	return n
}

// TestGather: each process's view of the same nodes, side by side, and one log;
// a process that goes is shown as it was, with the reason, and is back when it
// comes back.
func TestGather(t *testing.T) {
	t.Parallel()
	one, two := newProcess(t, Config{}), newProcess(t, Config{})
	g := newGathering(t, GatherConfig{From: []string{one.host(), two.server.URL + "/anywhere"}})
	g.until("both are there", func() bool { return g.heard() == 2 && len(g.st.Services) == 2 })
	if err := one.client.Selector().Eject("10.0.0.2:8080", "it cannot be reached from here"); err != nil {
		t.Fatal(err)
	}
	out := func(i int) bool { return g.st.Services[i].Nodes[1].Ejected }
	g.until("a partial partition", func() bool { return out(0) })
	if out(1) || g.st.Services[0].Process != one.host() || g.st.Services[1].Process != two.server.URL+"/anywhere" || g.st.Services[0].Name != "users" {
		t.Errorf("%+v", g.st.Services)
	}
	g.until("it is in the log", func() bool { return len(g.log) > 0 && g.log[len(g.log)-1].Kind == "ejected" })
	if last := g.log[len(g.log)-1]; last.Process != one.host() || last.Node != "10.0.0.2:8080" || last.Reason.Note == "" {
		t.Errorf("%+v", last)
	}

	// Another process takes the address of the first, and counts from 1 again.
	entries := len(g.log)
	if err := one.board.Close(); err != nil {
		t.Fatal(err)
	}
	g.until("the first is gone", func() bool { return g.heard() == 1 })
	if gone := g.st.Processes[0]; gone.Heard == nil || gone.Error == "" || !out(0) {
		t.Errorf("%+v", g.st.Processes)
	}
	again := newBoard(t, Config{})
	realClient(t, again, config{Service: "users", Nodes: addrs(3)})
	one.now.Store(again)
	g.until("it is back", func() bool { return g.heard() == 2 && !out(0) })
	g.until("its log too", func() bool { return len(g.log) > entries })
	if first := g.log[entries]; first.Process != one.host() || first.Kind != "nodes changed" || len(g.log) != entries+1 {
		t.Errorf("%+v", g.log[entries:])
	}
	for i, e := range g.log {
		if e.ID != uint64(i)+1 {
			t.Errorf("entry %d has number %d", i, e.ID)
		}
	}
}

// TestGatherTellsNothingTwice: a stream that is opened again begins with all
// entries there are.
func TestGatherTellsNothingTwice(t *testing.T) {
	t.Parallel()
	one := newProcess(t, Config{})
	g := newGathering(t, GatherConfig{From: []string{one.host()}})
	g.until("it is there", func() bool { return g.heard() == 1 && len(g.log) == 1 })
	one.server.CloseClientConnections()
	g.until("it is cut off", func() bool { return g.heard() == 0 })
	g.until("it is back", func() bool { return g.heard() == 1 })
	if err := one.client.Selector().Eject("10.0.0.2:8080", "x"); err != nil {
		t.Fatal(err)
	}
	g.until("what is new", func() bool { return g.log[len(g.log)-1].Kind == "ejected" })
	if len(g.log) != 2 {
		t.Errorf("%+v", g.log)
	}
}

// TestGatherIsBounded: a board's log may say anything, at any length, and is
// kept as this one's own.
func TestGatherIsBounded(t *testing.T) {
	t.Parallel()
	g := &Gathering{}
	p := &peer{board: g, name: "a"}
	long := strings.Repeat("x", 1<<20)
	entries := make([]Entry, 3*maxLog)
	for i := range entries {
		entries[i] = Entry{ID: uint64(i) + 1, Kind: "ejected", Node: long, Service: long, Error: long, Who: long, Did: long, Why: long, Reason: &Reason{Note: long, Rule: long}}
	}
	p.takeLog(entries)
	p.takeLog(entries) // nothing is new
	list := g.log.list()
	if len(list) != maxLog || list[len(list)-1].ID != maxLog {
		t.Fatalf("%d entries, the last is %d", len(list), list[len(list)-1].ID)
	}
	if text, err := json.Marshal(list[0]); err != nil || len(text) > 10*maxText {
		t.Errorf("an entry of %d bytes, %v", len(text), err)
	}
}

// TestGatherWhatIsNoBoard says what is wrong with it, shows nothing of it, and
// shows the others.
func TestGatherWhatIsNoBoard(t *testing.T) {
	t.Parallel()
	other := newProcess(t, Config{Read: BearerToken("ann", secret)})
	stream := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte(text))
		}
	}
	locked := newProcess(t, Config{Read: BearerToken("ann", "another")})
	cases := []struct {
		serve http.HandlerFunc
		want  string
	}{
		{http.NotFound, "404"},
		{func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.server.URL, http.StatusFound) }, "302"},
		{func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, "want a board's stream"},
		{stream("event: state\ndata: {\"schemaVersion\":2,\"services\":[]}\n\n"), "version 2, want 1"},
		{stream("event: state\ndata: {\"schemaVersion\":1,\"services\":[null]}\n\n"), "got null"},
		{stream("event: state\ndata: {\"schemaVersion\":1,\"processes\":[]}\n\n"), "a gathering itself"},
		{stream("event: state\ndata: nonsense\n\n"), "its state"},
		{stream("event: log\ndata: nonsense\n\n"), "its log"},
		{stream("hello\n\n"), "the stream has ended"},
		{locked.board.ServeHTTP, "401"},
	}
	from := []string{other.host()}
	for _, c := range cases {
		server := httptest.NewServer(c.serve)
		t.Cleanup(server.Close)
		from = append(from, server.URL)
	}
	g := newGathering(t, GatherConfig{From: from, Header: http.Header{"Authorization": {"Bearer " + secret}}})
	g.until("all have answered", func() bool {
		for _, p := range g.st.Processes {
			if p.Error == "not heard of yet" {
				return false
			}
		}
		return len(g.st.Processes) == len(from) && g.st.Processes[0].Error == ""
	})
	for i, c := range cases {
		if got := g.st.Processes[i+1].Error; !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if len(g.st.Services) != 1 || g.st.Services[0].Process != other.host() {
		t.Errorf("%+v", g.st.Services)
	}
}

// TestGatheringServes a page, behind Read what it shows, and takes no orders.
func TestGatheringServes(t *testing.T) {
	t.Parallel()
	one := newProcess(t, Config{})
	g, err := Gather(GatherConfig{From: []string{one.host()}, Read: BearerToken("ann", secret)})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close() //nolint:errcheck // it cannot fail
	for _, tt := range []struct {
		method, path, auth string
		code               int
	}{
		{"GET", "/", "", 200},
		{"GET", "/board.js", "", 200},
		{"GET", "/state.json", "", 401},
		{"GET", "/state.stream", "", 401},
		{"GET", "/state.json", "Bearer " + secret, 200},
		{"HEAD", "/state.stream", "Bearer " + secret, 200},
		{"POST", "/state.json", "Bearer " + secret, 405},
		{"POST", "/steer", "Bearer " + secret, 404},
		{"GET", "/hystrix.stream", "", 404},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
		r.Header.Set("Authorization", tt.auth)
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != tt.code {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.code)
		}
	}
}

func TestGatherConfig(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"a:80": "http://a:80/holdfast/", "[::1]:80": "http://[::1]:80/holdfast/",
		"http://a/x": "http://a/x/", "https://a:1/": "https://a:1/",
		"a": "", ":80": "", "a:": "", "": "", "ftp://a/": "", "http://a/?x": "", "u@a:80": "", "a:80/x": "",
	} {
		u, err := addressOf(from)
		if (err != nil) != (want == "") || err == nil && u.String() != want {
			t.Errorf("%q: %v, %v, want %q", from, u, err, want)
		}
	}
	_, err := Gather(GatherConfig{From: []string{"a:1", "http://a:1/holdfast", "x"}, Watchers: -1})
	for _, want := range []string{`from[1] "http://a:1/holdfast": there twice`, `from[2] "x": want host:port`, "watchers -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
	if _, err := Gather(GatherConfig{}); err == nil || !strings.Contains(err.Error(), "at least one") {
		t.Error(err)
	}
}

package board

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// GatherConfig describes a Gathering.
type GatherConfig struct {
	// From is the boards of other processes: "host:port", which stands for
	// http://host:port/holdfast/, or the URL that one is mounted at. At least
	// one.
	From []string

	// Header goes with what is asked of them, such as an Authorization. They
	// must all be trusted with it.
	Header http.Header

	// Client asks them. Nil: one of our own, which follows no redirect.
	Client *http.Client

	// Watchers, Patience and Read are those of Config.
	Watchers int
	Patience time.Duration
	Read     Authenticator
}

// Validate returns all that is wrong, joined.
func (c GatherConfig) Validate() error {
	var errs []error
	if len(c.From) == 0 {
		errs = append(errs, errors.New("board: from: want at least one host:port"))
	}
	seen := make(map[string]bool)
	for i, from := range c.From {
		u, err := addressOf(from)
		if err != nil {
			errs = append(errs, fmt.Errorf("board: from[%d] %q: %w", i, from, err))
			continue
		}
		if seen[u.String()] {
			errs = append(errs, fmt.Errorf("board: from[%d] %q: there twice", i, from))
		}
		seen[u.String()] = true
	}
	return errors.Join(append(errs, Config{Watchers: c.Watchers, Patience: c.Patience}.Validate())...)
}

// addressOf is the URL of a board.
func addressOf(from string) (*url.URL, error) {
	want := errors.New("want host:port, or the http or https URL of a board")
	if !strings.Contains(from, "://") {
		host, port, ok := strings.Cut(from, ":")
		if i := strings.LastIndexByte(from, ':'); strings.HasPrefix(from, "[") && i >= 0 { // IPv6
			host, port = from[:i], from[i+1:]
		}
		if !ok || host == "" || port == "" || strings.ContainsAny(from, "/?#@ ") {
			return nil, want
		}
		from = "http://" + from + "/holdfast/"
	}
	u, err := url.Parse(from)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, want
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

// Process is one of those that a [Gathering] shows.
type Process struct {
	Name  string     `json:"name"`            // as it is named in GatherConfig.From
	URL   string     `json:"url"`             // of its own board
	Heard *time.Time `json:"heard,omitempty"` // when it was last heard of
	Error string     `json:"error,omitempty"` // why not now; what is shown of it is as old as Heard
}

// Gathering shows the boards of several processes side by side, so that it is
// seen when one has lost what the others reach. It is an http.Handler with a
// page, state.json and state.stream like those of a [Board], whose services and
// log entries say which process they are of; steering is done at each board's
// own page. Make one by [Gather] and end it by Close.
type Gathering struct {
	streams
	live

	read  Authenticator
	peers []*peer
	end   context.CancelCauseFunc
	wait  sync.WaitGroup
}

var _ http.Handler = (*Gathering)(nil)

// Gather follows the boards that cfg names, until Close. One that cannot be
// reached is asked again and again. The error lists everything wrong with cfg.
func Gather(cfg GatherConfig) (*Gathering, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	orElse(&cfg.Watchers, 100)
	orElse(&cfg.Patience, 10*time.Second)
	if cfg.Client == nil {
		cfg.Client = &http.Client{
			Transport:     http.DefaultTransport.(*http.Transport).Clone(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	g := &Gathering{read: cfg.Read}
	g.open(cfg.Watchers, cfg.Patience)
	g.live.state = func() any { return g.gather() }
	ctx, end := clock.System.WithCancel(context.Background())
	g.end = end
	for _, from := range cfg.From {
		u, _ := addressOf(from) // it is valid
		p := &peer{board: g, name: from, url: u, client: cfg.Client, header: cfg.Header}
		p.error = "not heard of yet"
		g.peers = append(g.peers, p)
	}
	for _, p := range g.peers {
		g.wait.Go(func() { p.follow(ctx) })
	}
	return g, nil
}

// Close ends it, its streams included.
func (g *Gathering) Close() error {
	g.end(nil)
	g.close()
	g.wait.Wait()
	return nil
}

// ServeHTTP implements http.Handler. It goes by the last element of the path.
func (g *Gathering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, last := path.Split(r.URL.Path)
	serve := assetOf[last]
	switch last {
	case "state.json":
		serve = g.behind(func(w http.ResponseWriter, _ *http.Request) {
			st := g.gather()
			st.Log = g.log.list()
			writeState(w, st)
		})
	case "state.stream":
		serve = g.behind(func(w http.ResponseWriter, r *http.Request) { g.serveLive(w, r, &g.live) })
	}
	switch {
	case serve == nil:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET or HEAD only", http.StatusMethodNotAllowed)
	default:
		serve(w, r)
	}
}

func (g *Gathering) behind(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := g.read.admit(w, r); ok {
			serve(w, r)
		}
	}
}

// gathered is a [State] whose services are passed on as their boards wrote
// them: those may know more than this one.
type gathered struct {
	SchemaVersion int       `json:"schemaVersion"`
	At            time.Time `json:"at"`
	Steering      bool      `json:"steering"`
	Processes     []Process `json:"processes"`
	Services      []fields  `json:"services"`
	Log           []Entry   `json:"log"`
}

func (g *Gathering) gather() *gathered {
	st := &gathered{SchemaVersion: SchemaVersion, At: clock.System.Now(), Services: []fields{}, Processes: []Process{}}
	for _, p := range g.peers {
		process, services := p.look()
		st.Processes = append(st.Processes, process)
		st.Services = append(st.Services, services...)
	}
	return st
}

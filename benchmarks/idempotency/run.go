package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/realserver"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// deadline is how long a call may take: longer than a lease, a freeze and the
// restart of a store.
const deadline = 60 * time.Second

// run is the experiment while it goes on.
type run struct {
	cfg      Config
	dir      string
	store    *realserver.Server // nil: none
	servers  []*realserver.Server
	ledgers  []string
	evidence evidence

	mu     sync.Mutex
	report Report
	acked  []bool // by request
	ended  atomic.Int64

	allowed atomic.Int64 // requests that may begin
}

// Run carries the experiment out, and leaves nothing behind.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	r := &run{cfg: cfg, acked: make([]bool, cfg.Requests)}
	r.report = Report{Mode: cfg.Mode, Requests: cfg.Requests, Hits: make(map[Point]int)}
	if r.dir, err = os.MkdirTemp("", "holdfast-idempotency-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	r.report.Took = time.Since(began)
	if err := r.evidence.count(ctx, r); err != nil {
		return nil, err
	}
	return &r.report, nil
}

func (r *run) close() error {
	var errs []error
	for _, s := range r.servers {
		errs = append(errs, s.Close())
	}
	if r.evidence != nil {
		errs = append(errs, r.evidence.close())
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// start starts the store and the servers.
func (r *run) start(ctx context.Context) (err error) {
	base := serverConfig{Mode: r.cfg.Mode, Lease: r.cfg.Lease, Work: r.cfg.Work}
	r.evidence = ledgers{}
	switch r.cfg.Mode {
	case SQL:
		if r.store, err = realserver.Postgres("-c", "max_connections=200"); err != nil {
			return err
		}
		base.DSN = fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable", realserver.PostgresUser, r.store.Addr)
		if r.evidence, err = newDatabase(ctx, base.DSN); err != nil {
			return err
		}
	case Redis:
		if r.store, err = realserver.Redis("--appendonly", "yes", "--appendfsync", "always"); err != nil {
			return err
		}
		base.Redis = r.store.Addr
	}
	for i := range r.cfg.servers() {
		cfg := base
		cfg.Name = fmt.Sprintf("server-%d", i+1)
		if r.cfg.Mode != SQL {
			cfg.Ledger = filepath.Join(r.dir, cfg.Name+".ledger")
			r.ledgers = append(r.ledgers, cfg.Ledger)
		}
		s, err := realserver.Program(func(port string) (*exec.Cmd, error) {
			cfg.Port = port
			text, err := json.Marshal(cfg)
			if err != nil {
				return nil, err
			}
			cmd := exec.Command(r.cfg.Exe, ServerCommand, string(text)) //nolint:noctx // its end is the experiment's
			_, err = cmd.StdinPipe()                                    // its end is ours
			return cmd, err
		}, ready)
		if err != nil {
			return err
		}
		r.servers = append(r.servers, s)
	}
	return nil
}

// ready is a server's ping.
func ready(ctx context.Context, addr string) error { return post(ctx, http.MethodGet, addr, "/ready") }

func post(ctx context.Context, method, addr, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s: %s", addr, path, resp.Status)
	}
	return nil
}

// load sends all requests while the faults are done.
func (r *run) load(ctx context.Context) error {
	var addrs []string
	for _, s := range r.servers {
		addrs = append(addrs, s.Addr)
	}
	transport, err := httpwrap.New(httpwrap.Config{Services: map[string]resilience.Config{"effects": {
		Nodes: selector.Addrs(addrs...),
		Settings: resilience.Settings{
			Attempts: 60, AttemptTimeout: r.cfg.Attempt, // a store that is being restarted refuses many times
			Budget:  resilience.BudgetSettings{Floor: 100},
			Breaker: resilience.BreakerSettings{OpenFor: 100 * time.Millisecond, OpenMax: time.Second}, // who was killed is to be killed again
		},
	}}})
	if err != nil {
		return err
	}
	defer transport.Close() //nolint:errcheck // its nodes are static
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var crowd sync.WaitGroup
	var next atomic.Int64
	for range r.cfg.Clients {
		crowd.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= r.cfg.Requests || !await(ctx, func() bool { return int64(i) < r.allowed.Load() }) {
					return
				}
				r.call(ctx, transport, i)
				r.ended.Add(1)
			}
		})
	}
	if err := r.faults(ctx); err != nil {
		cancel(err)
	}
	crowd.Wait()
	return context.Cause(ctx)
}

func name(i int) string { return fmt.Sprintf("r%d", i) }

// call makes one request, and keeps what the client knows of it.
func (r *run) call(ctx context.Context, transport *httpwrap.Transport, i int) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if r.cfg.Mode != NoKeys {
		ctx = httpwrap.WithHint(ctx, resilience.Hint{Key: name(i)})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://effects/effects", strings.NewReader(name(i)))
	if err != nil {
		r.note(i, nil, err, "")
		return
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	body := ""
	if err == nil {
		var b []byte
		b, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		body = string(b)
	}
	r.note(i, resp, err, body)
}

func (r *run) note(i int, resp *http.Response, err error, body string) {
	facts := httpwrap.Result(resp, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Repeated += max(facts.Attempts-1, 0)
	if resp != nil && resp.Header.Get("Idempotency-Status") == "replayed" {
		r.report.Replayed++
	}
	if err == nil && resp.StatusCode == http.StatusCreated && body == name(i) {
		r.report.Acknowledged++
		r.acked[i] = true
		return
	}
	r.report.Failed++
	if facts.Ambiguous {
		r.report.InDoubt++
	}
	if len(r.report.Failures) < 20 {
		what := fmt.Sprint(err)
		if err == nil {
			what = fmt.Sprintf("%s %q", resp.Status, body)
		}
		if len(what) > 300 {
			what = what[:150] + " … " + what[len(what)-150:]
		}
		r.report.Failures = append(r.report.Failures, fmt.Sprintf("%s: ambiguous %v, %v after %d attempts: %s", name(i), facts.Ambiguous, facts.Why, facts.Attempts, what))
	}
}

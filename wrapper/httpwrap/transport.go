package httpwrap

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/internal/keys"
)

// Transport is an http.RoundTripper that makes requests to configured hosts
// resilient. It is safe for concurrent use; make one by [New] and end it by
// Close.
type Transport struct {
	cfg      Config // with defaults; Base is never nil
	owned    *http.Transport
	services map[string]*service // by host in lower case; never changes
	replays  atomic.Uint64
	work     *clock.Real // drains
}

var _ http.RoundTripper = (*Transport)(nil)

// service is one configured host.
type service struct {
	t      *Transport
	name   string
	client *resilience.Client
	nodes  pools

	lifetime keys.Lifetime
}

func newService(t *Transport, host string, cfg resilience.Config) (*service, error) {
	if cfg.Service == "" {
		cfg.Service = host
	}
	s := &service{t: t, name: cfg.Service}
	s.nodes.init(t.cfg.Base)
	hear := cfg.OnNode
	cfg.OnNode = func(e selector.Event) {
		s.nodes.hear(e)
		if hear != nil {
			hear(e)
		}
	}
	cfg.OwnCut = true
	var err error
	if s.client, err = resilience.New(cfg); err != nil {
		return nil, err
	}
	s.nodes.known(s.client.Selector())
	return s, nil
}

// RoundTrip implements http.RoundTripper. For a configured host it returns a
// response (the last attempt's, whatever its status) or an [*Error].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if s := t.service(req); s != nil {
		return s.roundTrip(req)
	}
	return t.cfg.Base.RoundTrip(req)
}

func (t *Transport) service(req *http.Request) *service {
	if len(t.services) == 0 || req.URL == nil || req.Header == nil {
		return nil // Base has an error for what is missing
	}
	return t.lookup(req.URL.Host, req.URL.Hostname)
}

func (t *Transport) lookup(host string, hostname func() string) *service {
	if s, ok := t.services[host]; ok {
		return s
	}
	host = strings.ToLower(host)
	if s, ok := t.services[host]; ok {
		return s
	}
	return t.services[strings.ToLower(hostname())]
}

// Client is the service's client, for its status, settings and updates; host
// is as in a URL. It is nil for a host that is not configured. Close it
// through the Transport.
func (t *Transport) Client(host string) *resilience.Client {
	if s := t.lookup(host, func() string { h, _, _ := strings.Cut(host, ":"); return h }); s != nil {
		return s.client
	}
	return nil
}

// Replays is how many times, at most, connections underneath have sent a
// request again by themselves, unasked, since the Transport was made: net/http
// does so for requests without side effects when a connection that was used
// before turns out to be dead. They count as no attempt and cost no budget;
// after three in an attempt it ends, as ambiguous. Requests that are not safe
// to repeat are not replayed where they may have been carried out.
func (t *Transport) Replays() uint64 { return t.replays.Load() }

// CloseIdleConnections closes the connections that are not in use, as
// http.Client.CloseIdleConnections asks for.
func (t *Transport) CloseIdleConnections() {
	for _, s := range t.services {
		s.nodes.closeIdle()
	}
	if c, ok := t.cfg.Base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Close ends the services' node sources and closes idle connections; those in
// use are closed when their responses are. Requests to the services fail with
// selector.ErrClosed afterwards. It waits for responses that are being
// drained.
func (t *Transport) Close() error {
	var errs []error
	for _, s := range t.services {
		errs = append(errs, s.client.Close())
		s.nodes.close()
	}
	if t.owned != nil {
		t.owned.CloseIdleConnections()
	}
	t.work.Wait()
	return errors.Join(errs...)
}

// discard reads what is left of a response that is not returned, within
// bounds and beside the call, and closes it: then its connection can be used
// again.
func (t *Transport) discard(resp *http.Response) {
	limit := t.cfg.DrainLimit
	switch {
	case resp.Body == http.NoBody,
		resp.ProtoMajor >= 2, // closing a stream leaves the connection alone
		limit < 0, resp.ContentLength > limit:
		resp.Body.Close()
		return
	}
	t.work.Go(func() {
		stop := t.work.AfterFunc(t.cfg.DrainTime, func() { resp.Body.Close() })
		_, _ = io.CopyN(io.Discard, resp.Body, limit+1) // one more, to see the end
		stop()
		resp.Body.Close()
	})
}

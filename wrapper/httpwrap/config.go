package httpwrap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// Config describes a [Transport]. The zero Config passes everything through.
type Config struct {
	// Services are the hosts that are made resilient, as they stand in the
	// URL: "users" for any port, "users:8080" for that port only. Service
	// defaults to the host. Without Nodes, the one node is what the host
	// resolves to. Fallback cannot answer with a response and is refused;
	// OwnCut is set.
	Services map[string]resilience.Config

	// Base sends the attempts. An *http.Transport is cloned for each node of
	// each service, without its Proxy where the node has an address, and used
	// as it is for other hosts; it must not have DialTLS or DialTLSContext.
	// With any other RoundTripper, an attempt's URL.Host is the node's address
	// and its Host the original one: then TLS server names are that
	// RoundTripper's affair, connections to one node cannot be dropped, and
	// only its errors tell what was not sent; replays are prevented where there
	// is net/http underneath and sees the attempt's context.
	//
	// Nil: a clone of http.DefaultTransport, which keeps more idle
	// connections, pings silent HTTP/2 ones, and is closed by Close.
	Base http.RoundTripper

	// AssumeServerDeduplicates adds an Idempotency-Key, a random UUID, to
	// requests of methods that are neither safe nor idempotent and carry none,
	// and treats them as repeatable. That is right only if every service here
	// carries out each key once. Default false.
	AssumeServerDeduplicates bool

	// BodyLimit is how many bytes of a request's body are kept for another
	// attempt when the request has no GetBody. A larger body is sent once.
	// Default 64 KiB, negative: keep none.
	BodyLimit int64

	// DrainLimit is how many bytes of a response that is not returned are
	// read, so that its connection can be used again. Default 64 KiB,
	// negative: none.
	DrainLimit int64

	// DrainTime bounds that in time. Default 1 s.
	DrainTime time.Duration

	// MaxRetryAfter is the longest Retry-After that is waited for; with a
	// longer one the call ends, for coming back earlier would be rude.
	// Default 30 s.
	MaxRetryAfter time.Duration

	// Header, if not nil, may add to the header of each attempt, a copy of its
	// own, under the attempt's context: to hand on a trace, say. It must not
	// change the values that are there, and be safe for concurrent use.
	Header func(context.Context, http.Header)

	// Status, if not nil, says which status a response stands for where it is
	// not its own: a gRPC error comes with 200. The attempt is judged by it; the
	// response is returned as it is. It may read ahead in the body, if it puts
	// back what it has read; the settings' timeouts hold until it returns. It
	// must be safe for concurrent use.
	Status func(*http.Response) int

	// Method names the operation of a request in settings, judgements and
	// events; from a bounded set. Nil: the request's Pattern if it has one,
	// else its HTTP method. It must be safe for concurrent use.
	Method func(*http.Request) string
}

// Validate returns all that is wrong, joined.
func (cfg Config) Validate() error {
	var errs []error
	seen := make(map[string]string)
	for _, host := range slices.Sorted(maps.Keys(cfg.Services)) {
		if err := checkHost(host); err != nil {
			errs = append(errs, fmt.Errorf("services[%q]: %w", host, err))
		}
		if other, ok := seen[strings.ToLower(host)]; ok {
			errs = append(errs, fmt.Errorf("services[%q]: the same host as services[%q]", host, other))
		}
		seen[strings.ToLower(host)] = host
		sc := cfg.Services[host]
		if sc.Fallback != nil {
			errs = append(errs, fmt.Errorf("services[%q]: fallback: want nil, since it cannot answer with a response; put it around the transport", host))
		}
		if err := sc.Validate(); err != nil {
			errs = append(errs, prefixed(fmt.Sprintf("services[%q]", host), err))
		}
	}
	if t, ok := cfg.Base.(*http.Transport); ok && len(cfg.Services) > 0 {
		if t == nil {
			errs = append(errs, errors.New("base: a nil *http.Transport: want one, or a nil interface for the default"))
		} else if t.DialTLSContext != nil || t.DialTLS != nil { //nolint:staticcheck // SA1019: users still set it
			errs = append(errs, errors.New("base: want an *http.Transport without DialTLS and DialTLSContext, which would have to know the server name of another address; use DialContext and TLSClientConfig"))
		}
	}
	if cfg.DrainTime < 0 {
		errs = append(errs, fmt.Errorf("drainTime %v: want 0 (default 1s) or more", cfg.DrainTime))
	}
	if cfg.MaxRetryAfter < 0 {
		errs = append(errs, fmt.Errorf("maxRetryAfter %v: want 0 (default 30s) or more", cfg.MaxRetryAfter))
	}
	return errors.Join(errs...)
}

// prefixed puts where before each line of what is wrong.
func prefixed(where string, err error) error {
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", where, err)
	}
	var errs []error
	for _, err := range list.Unwrap() {
		errs = append(errs, prefixed(where, err))
	}
	return errors.Join(errs...)
}

// checkHost accepts what can stand in a URL as host or host:port.
func checkHost(host string) error {
	u, err := url.Parse("http://" + host + "/")
	if err != nil || u.Host == "" || u.Host != host || u.Hostname() == "" {
		return errors.New(`want a host as it stands in a URL, "users" or "users:8080"`)
	}
	return nil
}

func (cfg Config) withDefaults() Config {
	orElse(&cfg.BodyLimit, 64<<10)
	orElse(&cfg.DrainLimit, 64<<10)
	orElse(&cfg.DrainTime, time.Second)
	orElse(&cfg.MaxRetryAfter, 30*time.Second)
	return cfg
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// New makes a Transport. It returns one error that lists everything that is
// wrong with cfg. The services' node sources belong to it: Close ends them,
// and New does if it fails.
func New(cfg Config) (*Transport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, errors.Join(prefixed("httpwrap", err), closeSources(cfg.Services))
	}
	t := &Transport{cfg: cfg.withDefaults(), services: make(map[string]*service, len(cfg.Services)), work: new(clock.Real)}
	if t.cfg.Base == nil {
		t.owned = ownTransport()
		t.cfg.Base = t.owned
	}
	rest := maps.Clone(cfg.Services)
	for _, host := range slices.Sorted(maps.Keys(cfg.Services)) {
		delete(rest, host)
		s, err := newService(t, host, cfg.Services[host])
		if err != nil {
			return nil, errors.Join(prefixed(fmt.Sprintf("httpwrap: services[%q]", host), err), t.Close(), closeSources(rest))
		}
		t.services[strings.ToLower(host)] = s
	}
	return t, nil
}

// NewService is New for the commonest case: one service, at fixed addresses
// ("10.0.0.1:8080"), with default settings. Without addresses its node is what
// the host resolves to.
func NewService(host string, addrs ...string) (*Transport, error) {
	var sc resilience.Config
	if len(addrs) > 0 {
		sc.Nodes = selector.Addrs(addrs...)
	}
	return New(Config{Services: map[string]resilience.Config{host: sc}})
}

func closeSources(services map[string]resilience.Config) error {
	var errs []error
	for _, sc := range services {
		if sc.Nodes != nil {
			errs = append(errs, sc.Nodes.Close())
		}
	}
	return errors.Join(errs...)
}

// ownTransport is what a nil Base means.
func ownTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if ok {
		t = cloned(t)
	} else { // somebody has replaced it: its documented values
		t = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
		}
	}
	if t.MaxIdleConnsPerHost == 0 {
		t.MaxIdleConnsPerHost = 64 // each node is a host to its transport; the default, 2, dials all the time
	}
	if t.HTTP2 == nil {
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	}
	return t
}

// Package connectwrap puts package resilience under a Connect client: calls go
// to the nodes of a service, are tried again where that is safe, and leave out
// the nodes that fail.
//
//	users, err := connectwrap.NewService("users", "10.0.0.1:8080", "10.0.0.2:8080")
//	…
//	client := usersv1connect.NewUsersServiceClient(users.HTTPClient(), "http://users", users.Option())
//
// It is httpwrap, which has the evidence of what was sent and what was not, and
// an interceptor that tells it what Connect knows: the procedure's name, and
// its idempotency from Spec().IdempotencyLevel. NO_SIDE_EFFECTS and IDEMPOTENT
// are repeated when in doubt; others only if it is certain that they were not
// carried out, or with a key (httpwrap.WithHint). Settings are by procedure,
// "/acme.users.v1.UsersService/Get".
//
// All three protocols work. Codes are judged by the HTTP status that Connect has
// for each, whatever the protocol: so unavailable, internal, unknown, data_loss
// and deadline_exceeded are ambiguous, resource_exhausted was refused, and the
// others are answers. A unary response is judged at its end (by gRPC-Web's
// trailers, if they are not compressed or by gzip), if that comes
// within 64 KiB; one that breaks off is ambiguous. A stream is judged at its
// beginning: what comes later is the caller's to handle.
// The gRPC protocol needs a Base that speaks HTTP/2 without TLS, or TLS:
// httpwrap.Config says which.
//
// Streams are tried again until the response begins, as far as what was sent
// fits httpwrap's BodyLimit. What remains of the caller's deadline is told to
// each attempt's server anew.
//
// A failed call's error is Connect's, within a *resilience.Error that tells of
// every attempt where there was more than one, or doubt: connect.CodeOf and
// resilience.IsAmbiguous see both.
//
// A Connect server is an http.Handler: httpwrap.Serve around it keeps the
// retries of several layers from multiplying.
package connectwrap

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

// Transport is what Connect clients need of holdfast. It is safe for concurrent
// use; make one by [New] and end it by Close. Calls need both its HTTPClient
// and its Option; without the Option they work and are taken for calls that
// must not be repeated.
type Transport struct {
	*httpwrap.Transport
	client *http.Client
}

// New makes a Transport. It returns one error that lists everything that is
// wrong with cfg. Status and Header of cfg, if set, are asked after ours.
func New(cfg httpwrap.Config) (*Transport, error) {
	status, header := cfg.Status, cfg.Header
	cfg.Status = func(resp *http.Response) int {
		code := statusOf(resp)
		if code == resp.StatusCode && status != nil {
			code = status(resp)
		}
		return code
	}
	cfg.Header = func(ctx context.Context, h http.Header) {
		remaining(ctx, h)
		if header != nil {
			header(ctx, h)
		}
	}
	t, err := httpwrap.New(cfg)
	if err != nil {
		return nil, err
	}
	x := &Transport{Transport: t}
	x.client = &http.Client{Transport: outer{t}}
	return x, nil
}

// NewService is New for the commonest case: one service, at fixed addresses
// ("10.0.0.1:8080"), with default settings.
func NewService(host string, addrs ...string) (*Transport, error) {
	var sc resilience.Config
	if len(addrs) > 0 {
		sc.Nodes = selector.Addrs(addrs...)
	}
	return New(httpwrap.Config{Services: map[string]resilience.Config{host: sc}})
}

// HTTPClient is what a client's constructor wants first. The base URL's host is
// the service's.
func (t *Transport) HTTPClient() *http.Client { return t.client }

// Option is the interceptor, as an option for a client's constructor. Of
// interceptors, it is best the last.
func (*Transport) Option() connect.ClientOption { return connect.WithInterceptors(interceptor{}) }

// outer is the transport that the http.Client sees.
type outer struct{ inner *httpwrap.Transport }

// RoundTrip implements http.RoundTripper.
func (o outer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.GetBody != nil && req.Body != nil && req.Body != http.NoBody {
		// Connect rewinds the one body there is, which an attempt that was given
		// up may still be reading. httpwrap keeps what it reads.
		again := *req
		again.GetBody = nil
		req = &again
	}
	resp, err := o.inner.RoundTrip(req)
	if c := callOf(req.Context()); c != nil {
		facts := httpwrap.Result(resp, err)
		c.facts.Store(&facts)
	}
	return resp, err
}

// CloseIdleConnections closes the connections that are not in use.
func (o outer) CloseIdleConnections() { o.inner.CloseIdleConnections() }

// The headers that tell a server how long it has.
const (
	connectTimeout = "Connect-Timeout-Ms" // milliseconds, at most ten digits
	grpcTimeout    = "Grpc-Timeout"       // at most eight digits and a unit
)

// remaining puts what is left of the caller's deadline in the place of what was
// left when the call began.
func remaining(ctx context.Context, h http.Header) {
	c := callOf(ctx)
	if c == nil || c.deadline.IsZero() {
		return
	}
	left := max(time.Until(c.deadline), 0)
	if h[connectTimeout] != nil {
		h[connectTimeout] = []string{strconv.FormatInt(min(left.Milliseconds(), 9_999_999_999), 10)}
	}
	if h[grpcTimeout] != nil {
		h[grpcTimeout] = []string{grpcDuration(left)}
	}
}

// grpcDuration writes a time as gRPC does, in the finest unit that fits.
func grpcDuration(d time.Duration) string {
	const most = 99_999_999
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Nanosecond, "n"}, {time.Microsecond, "u"}, {time.Millisecond, "m"}, {time.Second, "S"}, {time.Minute, "M"}} {
		if n := int64(d / u.unit); n <= most {
			return strconv.FormatInt(n, 10) + u.name
		}
	}
	return strconv.FormatInt(min(int64(d/time.Hour), most), 10) + "H"
}

package grpcwrap

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	"weak"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/serviceconfig"
)

// policy is the name under which gRPC knows our balancer.
const policy = "holdfast"

func init() { balancer.Register(policies{}) }

// reconnect is shorter than gRPC's own back-off, of up to 2 minutes: a node
// that is back should be used, and connecting costs nobody a call.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// A service config is text. By it gRPC finds the balancer's client: those that
// were made and have no ClientConn yet are listed here under a number.
var waiting = struct {
	sync.Mutex
	last    uint64
	clients map[uint64]weak.Pointer[Client]
}{clients: make(map[uint64]weak.Pointer[Client])}

func register(c *Client) {
	waiting.Lock()
	defer waiting.Unlock()
	waiting.last++
	c.id = waiting.last
	waiting.clients[c.id] = weak.Make(c)
	for id, p := range waiting.clients { // few: those that wait
		if p.Value() == nil {
			delete(waiting.clients, id)
		}
	}
}

func unregister(c *Client) {
	waiting.Lock()
	defer waiting.Unlock()
	delete(waiting.clients, c.id)
}

func serviceConfig(settings any) string {
	text, err := json.Marshal(map[string]any{"loadBalancingConfig": []any{map[string]any{policy: settings}}})
	if err != nil {
		return err.Error() // no JSON: NewClient tells
	}
	return string(text)
}

func (c *Client) serviceConfig() string { return serviceConfig(configText{Client: c.id}) }

// refusing makes NewClient fail with err's text.
func refusing(err error) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithDefaultServiceConfig(serviceConfig(configText{Error: err.Error()}))}
}

// configText is the balancer's part of the service config.
type configText struct {
	Client uint64 `json:"client,omitempty"`
	Error  string `json:"error,omitempty"`
}

// balancerConfig is what it stands for.
type balancerConfig struct {
	serviceconfig.LoadBalancingConfig
	c *Client
}

var (
	errUnconfigured = errors.New("grpcwrap: the balancer \"holdfast\" is configured by grpcwrap.DialOptions")
	errClaimed      = errors.New("grpcwrap: these dial options have made a ClientConn already: make others for another")
)

// policies is the balancer.Builder and its ConfigParser.
type policies struct{}

// Name implements balancer.Builder.
func (policies) Name() string { return policy }

// Build implements balancer.Builder.
func (policies) Build(cc balancer.ClientConn, _ balancer.BuildOptions) balancer.Balancer {
	return &tree{cc: cc}
}

// ParseConfig implements balancer.ConfigParser. NewClient calls it, once.
func (policies) ParseConfig(text json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	var cfg configText
	if err := json.Unmarshal(text, &cfg); err != nil {
		return nil, fmt.Errorf("grpcwrap: %w", err)
	}
	if cfg.Error != "" {
		return nil, errors.New(cfg.Error)
	}
	waiting.Lock()
	defer waiting.Unlock()
	c := waiting.clients[cfg.Client].Value()
	switch {
	case c == nil && cfg.Client > 0 && cfg.Client <= waiting.last:
		return nil, errClaimed
	case c == nil:
		return nil, errUnconfigured
	}
	delete(waiting.clients, cfg.Client)
	c.claimed.Store(true)
	return &balancerConfig{c: c}, nil
}

package floors

// Module paths of this repository and of what its rooms may lean on.
const (
	house = "github.com/holdfast-go/holdfast"

	backoff   = "github.com/cenkalti/backoff/v4"
	gobreaker = "github.com/sony/gobreaker"
	hystrix   = "github.com/afex/hystrix-go"
	etcd      = "go.etcd.io/etcd"
	zap       = "go.uber.org/zap"
	redis     = "github.com/redis/go-redis/v9"
	bbolt     = "go.etcd.io/bbolt"
	pgx       = "github.com/jackc/pgx/v5"
	sqlite    = "modernc.org/sqlite"
	grpc      = "google.golang.org/grpc"
	protobuf  = "google.golang.org/protobuf"
	xnet      = "golang.org/x/net"
	goMicro   = "go-micro.dev/v5"
	connect   = "connectrpc.com/connect"
	otel      = "go.opentelemetry.io/otel"
	yaml      = "go.yaml.in/yaml/v3"
	prom      = "github.com/prometheus/client_golang"
	promModel = "github.com/prometheus/client_model"

	anything = "*"
)

// room is one row of the house: a package (with what it keeps under its own
// internal/) or, with tree, a folder of packages.
type room struct {
	floor  int
	path   string   // below the repository's root; "." is the root package
	tree   bool     // every package under path belongs to the room
	nested bool     // lives in a module of its own, so that its dependencies are not everybody's
	alone  bool     // imports no other room
	third  []string // modules that its packages and tests may import, besides the standard library
	tests  []string // modules that only its tests may import
}

// rooms is the house. A room may import rooms on floors below it, never
// beside or above, and no module that its row does not name. A new room gets
// a row here before its first import. Rooms that are not built yet hold their
// place.
var rooms = []room{
	{floor: 0, path: "internal/clock"},
	{floor: 0, path: "internal/realserver", alone: true},
	{floor: 0, path: "internal/relay"},
	{floor: 0, path: "wrapper/internal/keys"}, // what the wrapped clients have in common

	{floor: 1, path: "internal/filewatch"},
	{floor: 1, path: "breaker"},
	{floor: 1, path: "retry", third: []string{backoff}},

	{floor: 2, path: "breaker/gobreaker", third: []string{gobreaker}},
	{floor: 2, path: "breaker/breakertest"},
	{floor: 2, path: "selector"},

	{floor: 3, path: "selector/dns"},
	{floor: 3, path: "selector/etcd", nested: true, third: []string{etcd}, tests: []string{zap}},
	{floor: 3, path: "resilience", third: []string{backoff}},
	{floor: 3, path: "wrapper/idempotency", alone: true},

	{floor: 4, path: "resilience/resiliencetest"},
	{floor: 4, path: "resilience/trace"},
	{floor: 4, path: "resilience/board", tests: []string{hystrix, gobreaker}},
	{floor: 4, path: "resilience/settingsfile", nested: true, third: []string{yaml}},
	{floor: 4, path: "breaker/hystrix", third: []string{hystrix}}, // an engine, and commands that are clients
	{floor: 4, path: "wrapper/httpwrap"},
	{floor: 4, path: "wrapper/grpcwrap", nested: true, third: []string{grpc, protobuf}, tests: []string{xnet}},
	{floor: 4, path: "wrapper/microwrap", nested: true, third: []string{goMicro}, tests: []string{hystrix}},
	{floor: 4, path: "wrapper/idempotency/storetest"},
	{floor: 4, path: "wrapper/idempotency/sqlstore"},
	{floor: 4, path: "wrapper/idempotency/sqlstore/dbtest", nested: true, tests: []string{pgx, sqlite}},
	{floor: 4, path: "wrapper/idempotency/boltstore", nested: true, third: []string{bbolt}},
	{floor: 4, path: "wrapper/idempotency/redisstore", nested: true, third: []string{redis}},
	{floor: 4, path: "wrapper/otelwrap", nested: true, third: []string{otel}},
	{floor: 4, path: "wrapper/promwrap", nested: true, third: []string{prom}, tests: []string{promModel}},

	{floor: 5, path: "wrapper/connectwrap", nested: true, third: []string{connect, protobuf}}, // on httpwrap, which has the evidence

	{floor: 6, path: "benchmarks", tree: true, nested: true, third: []string{anything}},
	{floor: 6, path: ".", third: []string{backoff}}, // the README's examples, as tests
}

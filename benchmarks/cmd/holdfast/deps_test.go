package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The first command that people run must build soon: what it links is written
// down here. The stacks under test are libraries by nature, so what counts is
// the time of a first build: 116 s of CPU time with gRPC, failsafe-go,
// hystrix-go and gobreaker linked, 108 s without, downloads included
// (GOCACHE and GOMODCACHE empty, GOWORK=off go build ./cmd/holdfast).
func TestModules(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	allowed := []string{
		"github.com/holdfast-go/holdfast",
		"github.com/holdfast-go/holdfast/benchmarks",
		"github.com/holdfast-go/holdfast/resilience/settingsfile",
		"github.com/holdfast-go/holdfast/wrapper/microwrap",
		"github.com/cenkalti/backoff/v4",
		"github.com/HdrHistogram/hdrhistogram-go",
		"github.com/afex/hystrix-go",
		"github.com/bits-and-blooms/bitset",
		"github.com/failsafe-go/failsafe-go",
		"github.com/influxdata/tdigest",
		"github.com/sony/gobreaker/v2",
		"go-micro.dev/v5", // and what its client, server and HTTP transport need:
		"github.com/golang/protobuf",
		"github.com/google/uuid",
		"github.com/miekg/dns",
		"github.com/oxtoacart/bpool",
		"github.com/patrickmn/go-cache",
		"github.com/pkg/errors",
		"go.yaml.in/yaml/v3",      // settings
		"github.com/jackc/pgx/v5", // the proof of bench idempotency: a database and a store
		"github.com/jackc/pgpassfile",
		"github.com/jackc/pgservicefile",
		"github.com/jackc/puddle/v2",
		"github.com/redis/go-redis/v9",
		"github.com/cespare/xxhash/v2",
		"go.uber.org/atomic",
		"github.com/holdfast-go/holdfast/wrapper/idempotency/redisstore",
		"golang.org/x/net",
		"golang.org/x/sync",
		"golang.org/x/sys",
		"golang.org/x/text",
		"google.golang.org/protobuf",
		"github.com/cep21/circuit/v4", // a peer that is simulated: 2.5 s of the first build
		"gopkg.in/yaml.v3",            // systems and settings are read
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	modules = slices.Compact(modules)
	if len(modules) < 3 {
		t.Fatalf("go list tells of %q only", modules)
	}
	for _, m := range modules {
		if !slices.Contains(allowed, m) {
			t.Errorf("holdfast links %s: want it in a command of its own", m)
		}
	}
}

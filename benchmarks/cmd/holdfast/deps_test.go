package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The first command that people run must build in a moment: what it links is
// written down here. A command that needs more becomes a main of its own.
func TestModules(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	allowed := []string{
		"github.com/holdfast-go/holdfast",
		"github.com/holdfast-go/holdfast/benchmarks",
		"github.com/cenkalti/backoff/v4",
		"go-micro.dev/v5", // and what its client, server and HTTP transport need:
		"github.com/golang/protobuf",
		"github.com/google/uuid",
		"github.com/miekg/dns",
		"github.com/oxtoacart/bpool",
		"github.com/patrickmn/go-cache",
		"github.com/pkg/errors",
		"golang.org/x/net",
		"golang.org/x/sync",
		"golang.org/x/sys",
		"golang.org/x/text",
		"google.golang.org/protobuf",
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

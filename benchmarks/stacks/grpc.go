package stacks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
	"github.com/holdfast-go/holdfast/benchmarks/internal/grpcsettings"
)

// grpcStack is a stack of the program benchmarks/grpcstacks, by its name.
// grpc-go has outlier detection only inside google.golang.org/grpc/xds, whose
// tree would slow the build of this command.
type grpcStack string

// Name implements harness.Stack.
func (g grpcStack) Name() string { return string(g) }

// Info implements harness.Stack.
func (g grpcStack) Info() harness.Info {
	info := grpcsettings.Infos[string(g)]
	return harness.Info{What: info[0], Config: info[1], Unavailable: grpcSource()}
}

// errElsewhere is what a stack of another program fails with here.
var errElsewhere = errors.New("this stack is in another program")

// Serve implements harness.Stack: it fails.
func (grpcStack) Serve(net.Listener, *harness.Hello) error { return errElsewhere }

// Dial implements harness.Stack: it fails.
func (grpcStack) Dial(harness.ClientConfig) (harness.Client, error) { return nil, errElsewhere }

// Program implements harness.Elsewhere. It is built once in a process; go
// build keeps what it has compiled.
func (grpcStack) Program(context.Context) (string, error) { return grpcProgram() }

// grpcSource is why the program cannot be built here; nil: it can.
var grpcSource = sync.OnceValue(func() error {
	if _, err := exec.LookPath("go"); err != nil {
		return err
	}
	if out, err := exec.Command("go", "list", grpcsettings.Package).CombinedOutput(); err != nil {
		why, _, _ := strings.Cut(string(out), ";") // then what go would have me do
		return fmt.Errorf("it is a program of its own that is built when it is wanted: run holdfast in a clone of its repository (%s)", strings.TrimSpace(why))
	}
	return nil
})

var grpcProgram = sync.OnceValues(func() (path string, err error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "holdfast-bench")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "grpcstacks")
	mine := fmt.Sprintf("%s-%d", path, os.Getpid())
	if out, err := exec.Command("go", "build", "-o", mine, grpcsettings.Package).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w: %s", grpcsettings.Package, err, out)
	}
	return path, os.Rename(mine, path) // another process may run the one that is there
})

// Package floors keeps the house in order: which package may import which.
// It is all tests; the table is in rooms_test.go.
package floors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

func TestRoomsImportOnlyFloorsBelow(t *testing.T) {
	watchTree(t)
	pkgs := list(t, "work")
	if len(pkgs) < 4 {
		t.Fatalf("go list found %d packages, which cannot be the whole house", len(pkgs))
	}
	for _, p := range pkgs {
		if p.Error != nil {
			t.Errorf("%s: %s", rel(p.ImportPath), p.Error.Err)
		}
	}
	for _, line := range check(rooms, pkgs) {
		t.Error(line)
	}
}

// TestResilienceStaysLight keeps what a user of the library downloads and
// compiles: the standard library, backoff/v4 and this module.
func TestResilienceStaysLight(t *testing.T) {
	watchTree(t)
	out := goTool(t, "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./resilience")
	deps := strings.Fields(string(out))
	if len(deps) == 0 {
		t.Fatal("go list -deps ./resilience shows nothing, not even resilience")
	}
	for _, dep := range deps {
		if !isOurs(dep) && !within(dep, backoff) {
			t.Errorf("resilience depends on %s: only the standard library, %s and our own packages are allowed", dep, backoff)
		}
	}
}

// list describes the packages of every module in go.work.
func list(t *testing.T, pattern string) []pkg {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(goTool(t, "list", "-e", "-json=ImportPath,Module,Imports,TestImports,XTestImports,Error", pattern)))
	var pkgs []pkg
	for {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal("reading go list:", err)
		}
		pkgs = append(pkgs, p)
	}
}

func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// watchTree opens every folder of the repository, so that go test, which
// caches a result by the files the test itself opened, runs it again when any
// file changes.
func watchTree(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a file of another test that runs beside us went away
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

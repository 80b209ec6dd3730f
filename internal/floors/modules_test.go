package floors

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryModuleIsTied: a nested module that go.work forgets is one that
// `go test work` never tests, and one without a replace builds against the
// published root instead of this one.
func TestEveryModuleIsTied(t *testing.T) {
	var work struct{ Use []struct{ DiskPath string } }
	unmarshal(t, goTool(t, "work", "edit", "-json", "go.work"), &work)
	var tied []string
	for _, u := range work.Use {
		tied = append(tied, filepath.Clean(u.DiskPath))
	}

	for _, dir := range modules(t) {
		if !slices.Contains(tied, dir) {
			t.Errorf("module %s is not in go.work: go work use ./%s", dir, dir)
		}
		if dir == "." {
			continue
		}
		var mod struct {
			Replace []struct{ Old, New struct{ Path string } }
		}
		unmarshal(t, goTool(t, "mod", "edit", "-json", filepath.Join(dir, "go.mod")), &mod)
		up, err := filepath.Rel(dir, ".")
		if err != nil {
			t.Fatal(err)
		}
		replaced := false
		for _, r := range mod.Replace {
			replaced = replaced || r.Old.Path == house && filepath.Clean(r.New.Path) == up
		}
		if !replaced {
			t.Errorf("%s/go.mod has no replace of %s by %s", dir, house, up)
		}
	}
}

// modules lists the folders with a go.mod, relative to the root.
func modules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // a file of another test that runs beside us went away
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.Name() == "go.mod":
			dir, err := filepath.Rel(root, filepath.Dir(path))
			dirs = append(dirs, dir)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func unmarshal(t *testing.T, data []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
)

// What is wrong with files is printed by file, line and field, and fails a CI.
func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := write("good.yaml", "attempts: 3\n"), write("bad.json", "{\n\"attempts\": 500,\n\"timeout\": \"-1s\"}")
	code, stdout, stderr := try(t, "config", "check", good)
	if code != cli.Pass || stdout != good+": ok\n" || stderr != "" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = try(t, "config", "check", good, bad, dir+"/none.yaml")
	lines := strings.Split(stderr, "\n")
	if code != cli.Usage || stdout != good+": ok\n" || len(lines) != 4 ||
		!strings.HasPrefix(lines[0], bad+":2: attempts 500: want 1 to 100") || !strings.HasPrefix(lines[1], bad+":3: timeout -1s") || !strings.Contains(lines[2], "no such file") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = try(t, "config", "check", "-json", good, bad)
	var doc struct {
		SchemaVersion int
		Files         []struct {
			File     string
			OK       bool
			Problems []struct {
				Line           int
				Field, Problem string
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if code != cli.Usage || stderr != "" || doc.SchemaVersion != 1 || len(doc.Files) != 2 || !doc.Files[0].OK || doc.Files[1].OK {
		t.Fatalf("%d, %q, %+v", code, stderr, doc)
	}
	if p := doc.Files[1].Problems; len(p) != 2 || p[0].Line != 2 || p[0].Field != "attempts" || p[1].Line != 3 || p[1].Field != "timeout" || p[1].Problem == "" {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(stdout, `"problems": []`) {
		t.Error("no problems: want an empty list")
	}
}

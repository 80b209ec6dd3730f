// Package docs keeps what the documentation shows compiled.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestReadmeSnippets holds every Go snippet of the README against the
// compiled examples: its lines stand in one of them, in the same order and
// without a gap, white space aside.
func TestReadmeSnippets(t *testing.T) {
	root := filepath.Join("..", "..")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "example_test.go") {
			var text []byte
			text, err = os.ReadFile(path)
			examples = append(examples, flatten(string(text)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	snippets := fence.FindAllStringSubmatch(string(readme), -1)
	if len(snippets) < 2 {
		t.Fatalf("README.md has %d Go snippets, want at least 2", len(snippets))
	}
next:
	for _, s := range snippets {
		for _, e := range examples {
			if strings.Contains(e, flatten(s[1])) {
				continue next
			}
		}
		t.Errorf("no example_test.go has this snippet of README.md:\n%s", s[1])
	}
}

// flatten removes indentation, blank lines and what is said to linters.
func flatten(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//nolint")
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

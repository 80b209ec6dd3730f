// Package docs keeps what the documentation shows compiled.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^ *```go\n(.*?)^ *```$")

// TestSnippets holds every Go snippet of the pages at the root against the
// compiled examples: its lines stand in one of them, in the same order and
// without a gap, white space aside.
func TestSnippets(t *testing.T) {
	root := filepath.Join("..", "..")
	var examples []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
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
	for page, least := range map[string]int{"README.md": 2, "MIGRATING.md": 8} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		snippets := fence.FindAllStringSubmatch(string(text), -1)
		if len(snippets) < least {
			t.Errorf("%s has %d Go snippets, want at least %d", page, len(snippets), least)
		}
		for _, s := range snippets {
			if !slices.ContainsFunc(examples, func(e string) bool { return strings.Contains(e, flatten(s[1])) }) {
				t.Errorf("no example_test.go has this snippet of %s:\n%s", page, s[1])
			}
		}
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

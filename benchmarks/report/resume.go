package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Invalid is how many of the runs are not valid.
func (s *Summary) Invalid() (n int) {
	for i := range s.Runs {
		if !s.Runs[i].Valid {
			n++
		}
	}
	return n
}

// Extend adds the seeds, scenarios and stacks of old, whose runs are to stand
// beside those of s. It fails if they cannot, since something else was run.
func (s *Summary) Extend(old *Summary) error {
	if s.Environment.Build != old.Environment.Build {
		return fmt.Errorf("the results are of another build (%s, this is %s)", old.Environment.Build, s.Environment.Build)
	}
	if s.Quick != old.Quick {
		return errors.New("the results are of another pace: -quick differs")
	}
	var err error
	s.Scenarios, err = extend(s.Scenarios, old.Scenarios, func(x Scenario) string { return x.Name })
	if err != nil {
		return err
	}
	if s.Stacks, err = extend(s.Stacks, old.Stacks, func(x Stack) string { return x.Name }); err != nil {
		return err
	}
	s.Seeds = slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.Seeds, old.Seeds))))
	return nil
}

// extend adds what is new in old. What is in both must be equal.
func extend[T any](list, old []T, name func(T) string) ([]T, error) {
	list = slices.Clip(list)
	for _, x := range old {
		i := slices.IndexFunc(list, func(y T) bool { return name(x) == name(y) })
		if i < 0 {
			list = append(list, x)
			continue
		}
		a, err1 := json.Marshal(x)
		b, err2 := json.Marshal(list[i])
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			return nil, fmt.Errorf("%s is not the same as in the results", name(x))
		}
	}
	return list, nil
}

// ResumeFolder goes on with a folder: what belongs to other runs than these is
// taken out, and what a crash has torn.
func ResumeFolder(dir string, keep []Run) (*Folder, error) {
	kept := map[string]bool{}
	for _, r := range keep {
		kept[fmt.Sprintf("%s/%s/%d", r.Scenario, r.Stack, r.Seed)] = true
	}
	for _, name := range dataFiles {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is missing", path)
		}
		if err != nil {
			return nil, err
		}
		var left []byte
		for line := range bytes.Lines(data) {
			if belongs(name, line, kept) {
				left = append(left, line...)
			}
		}
		if err := replace(path, left); err != nil {
			return nil, err
		}
	}
	return openFolder(dir, 0)
}

// belongs reports whether a line of a data file is whole, and of one of the
// runs, or of none.
func belongs(file string, line []byte, runs map[string]bool) bool {
	if !bytes.HasSuffix(line, []byte("\n")) {
		return false
	}
	if file != HistogramsFile {
		var of struct {
			Scenario, Stack string
			Seed            uint64
		}
		return json.Unmarshal(line, &of) == nil && runs[fmt.Sprintf("%s/%s/%d", of.Scenario, of.Stack, of.Seed)]
	}
	tag, tagged := strings.CutPrefix(string(line), "Tag=")
	if !tagged {
		return true
	}
	tag, _, _ = strings.Cut(tag, ",")
	return runs[tag[:max(0, strings.LastIndexByte(tag, '/'))]]
}

// replace writes a file whole or not at all.
func replace(path string, data []byte) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, data, 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

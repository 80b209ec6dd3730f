package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a folder has of other runs than those kept is taken out, and a line
// that a crash has torn; the rest is as it was.
func TestResumeFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/crash")); err != nil {
		t.Fatal(err)
	}
	torn, err := os.OpenFile(filepath.Join(dir, CoursesFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := torn.WriteString(`{"scenario":"crash","stack":"bare","seed":1,"sli`); err != nil {
		t.Fatal(err)
	}
	if err := torn.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := ReadSummary(dir)
	if err != nil {
		t.Fatal(err)
	}
	var keep []Run
	for _, r := range before.Runs {
		if r.Stack == "holdfast" {
			keep = append(keep, r)
		}
	}
	f, err := ResumeFolder(dir, keep)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(before); err != nil {
		t.Fatal(err)
	}
	after, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Courses) != len(keep) || len(after.Histograms) != 2*len(keep) || len(after.Events) == 0 {
		t.Errorf("%d courses, %d histograms, %d events of %d runs", len(after.Courses), len(after.Histograms), len(after.Events), len(keep))
	}
	for _, e := range after.Events {
		if e.Stack != "holdfast" {
			t.Errorf("%+v", e)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Error(left)
	}
	if err := os.Remove(filepath.Join(dir, EventsFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := ResumeFolder(dir, keep); err == nil || !strings.Contains(err.Error(), EventsFile) {
		t.Errorf("a file is missing: %v", err)
	}
}

// Only what is the same may be gone on with.
func TestExtend(t *testing.T) {
	results := func() *Summary {
		return &Summary{
			Environment: Environment{Build: "b"}, Seeds: []uint64{1, 2},
			Scenarios: []Scenario{{Name: "crash", What: "w"}}, Stacks: []Stack{{Name: "bare", Config: "c"}},
		}
	}
	for _, c := range []struct {
		want   string
		change func(*Summary)
	}{
		{"", func(*Summary) {}},
		{"another build", func(s *Summary) { s.Environment.Build = "x" }},
		{"-quick differs", func(s *Summary) { s.Quick = true }},
		{"crash is not the same", func(s *Summary) { s.Scenarios[0].Plan.Rate = 7 }},
		{"bare is not the same", func(s *Summary) { s.Stacks[0].Config = "x" }},
	} {
		s := results()
		c.change(s)
		err := s.Extend(results())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	s := results()
	s.Seeds, s.Stacks = []uint64{2, 3}, []Stack{{Name: "other"}}
	if err := s.Extend(results()); err != nil || len(s.Seeds) != 3 || len(s.Stacks) != 2 || len(s.Scenarios) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

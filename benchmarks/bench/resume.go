package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/report"
)

// open makes the folder of results, or goes on with the one that is there.
func (m *matrix) open() (err error) {
	if m.out == "" {
		return nil
	}
	if m.resume {
		old, err := report.ReadSummary(m.out)
		switch {
		case err == nil:
			return m.goOn(old)
		case !errors.Is(err, fs.ErrNotExist):
			return &usageError{fmt.Errorf("-resume: %w", err)}
		}
	}
	if m.folder, err = report.NewFolder(m.out); err != nil {
		return &usageError{fmt.Errorf("-out: %w (-resume goes on with it)", err)}
	}
	return m.folder.Save(m.sum)
}

// goOn keeps the valid runs that are there, and what others than ours are.
func (m *matrix) goOn(old *report.Summary) (err error) {
	if err := m.sum.Extend(old); err != nil {
		return &usageError{fmt.Errorf("-resume: %w", err)}
	}
	m.before = old.TookMs
	kept := slices.DeleteFunc(slices.Clone(old.Runs), func(r report.Run) bool { return !r.Valid })
	for _, r := range kept {
		m.runs[fmt.Sprintf("%s/%s/%d", r.Scenario, r.Stack, r.Seed)] = r
	}
	if m.folder, err = report.ResumeFolder(m.out, kept); err != nil {
		return &usageError{fmt.Errorf("-resume: %w", err)}
	}
	return nil
}

// saveEvery is how much of the results a crash can cost.
const saveEvery = 5 * time.Second

// save writes the summary of what is there, now and then.
func (m *matrix) save(now time.Time) error {
	if now.Sub(m.wrote) < saveEvery {
		return nil
	}
	m.wrote = now
	m.collect()
	return m.folder.Save(m.sum)
}

// collect brings the summary up to date.
func (m *matrix) collect() {
	m.sum.TookMs = m.before + float64(time.Since(m.began).Milliseconds())
	m.sum.Runs = []report.Run{}
	for _, seed := range m.sum.Seeds {
		for _, sc := range m.sum.Scenarios {
			for _, st := range m.sum.Stacks {
				if r, ok := m.runs[fmt.Sprintf("%s/%s/%d", sc.Name, st.Name, seed)]; ok {
					m.sum.Runs = append(m.sum.Runs, r)
				}
			}
		}
	}
}

// usageError is one that the user's arguments have caused.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

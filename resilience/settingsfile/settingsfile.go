// Package settingsfile reads [resilience.Settings] from YAML and JSON files,
// and again when they change:
//
//	client, err := resilience.New(resilience.Config{
//		Service:      "users",
//		SettingsFrom: settingsfile.File("users.yaml"),
//		…
//	})
//
// A file holds the settings of one client; what it does not name has its
// default. It is taken as a whole or not at all: an unknown or repeated field,
// a duration without a unit, a value of another kind or out of range is a
// [Problem] with file, line and field, and all of them are found at once.
//
// `holdfast config check FILE` looks for them before a file is shipped.
package settingsfile

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/filewatch"
	"github.com/holdfast-go/holdfast/resilience"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File  string
	Line  int    // from 1; 0: the file as a whole
	Field string // as in "ejection.excess"; empty: the file as a whole
	Err   error  // says it, and begins with the field
}

// Error is "file:line: what is wrong", as compilers write it.
func (p *Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %v", p.File, p.Err)
	}
	return fmt.Sprintf("%s:%d: %v", p.File, p.Line, p.Err)
}

func (p *Problem) Unwrap() error { return p.Err }

// Read reads a file. The error joins all that is wrong, each a [*Problem]
// unless the file could not be read at all.
func Read(path string) (resilience.Settings, error) {
	data, err := filewatch.Read(path)
	if err != nil {
		return resilience.Settings{}, err
	}
	return Parse(path, data)
}

// Parse reads the content of a file, which is JSON if its name ends in .json,
// and YAML if it ends in .yaml or .yml.
func Parse(name string, data []byte) (resilience.Settings, error) {
	var s resilience.Settings
	doc, err := parse(name, data)
	if err == nil && string(bytes.TrimSpace(doc.json)) == "null" { // as what is left of YAML that is cut after its "---"
		err = errEmpty
	}
	if err == nil {
		if err = s.UnmarshalJSON(doc.json); err == nil {
			err = s.Validate()
		}
	}
	if err != nil {
		return resilience.Settings{}, problems(name, doc, err)
	}
	return s, nil
}

// document is a file's content as JSON, with the line of each field.
type document struct {
	json  []byte
	lines map[string]int
}

var errEmpty = errors.New("the file is empty: want {} for the defaults")

func parse(name string, data []byte) (*document, error) {
	switch ext := strings.ToLower(filepath.Ext(name)); {
	case len(strings.TrimSpace(string(data))) == 0:
		return nil, errEmpty
	case ext == ".json":
		return parseJSON(data)
	case ext == ".yaml", ext == ".yml":
		return parseYAML(data)
	}
	return nil, errors.New("want a name that ends in .yaml, .yml or .json")
}

// at is an error that knows its line.
type at struct {
	line int
	err  error
}

func (a *at) Error() string { return a.err.Error() }
func (a *at) Unwrap() error { return a.err }

// problems makes a Problem of each error that is joined in err.
func problems(name string, doc *document, err error) error {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range list.Unwrap() {
			errs = append(errs, problems(name, doc, e))
		}
		return errors.Join(errs...)
	}
	p := &Problem{File: name, Err: err}
	var line *at
	var field *resilience.FieldError
	switch {
	case errors.As(err, &line):
		p.Line = line.line
	case errors.As(err, &field):
		p.Field, p.Line = field.Field, doc.line(field.Field)
	}
	return p
}

// line is that of a field, or of the innermost one there is that it belongs to.
func (d *document) line(field string) int {
	for field != "" {
		if n := d.lines[field]; n > 0 {
			return n
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
	return d.lines[""]
}

// Source is a file of settings as a [resilience.SettingsSource]. The fields
// are read when the client is made and must not be changed after it.
type Source struct {
	Path string // required

	// Interval is how long between two looks at the file. A change is believed
	// when two looks in a row find it, since half of a YAML file may be a whole
	// one. At least 10 ms, default 1 s.
	Interval time.Duration

	// Log hears of new settings (Info), and of a file that is missing or wrong
	// (Error) while the client keeps those it has. Nil: slog.Default(). The
	// client's observers hear the same: beside [resilience.LogEvents], set it to
	// slog.New(slog.DiscardHandler), or each is logged twice.
	Log *slog.Logger

	// Clock is nil for the real one, as in resilience.Config.
	Clock resilience.Clock

	file filewatch.File[resilience.Settings]
}

var _ resilience.SettingsSource = (*Source)(nil)

// File is a [Source] with the defaults.
func File(path string) *Source { return &Source{Path: path} }

// Watch implements [resilience.SettingsSource]. It fails when the file cannot
// be read or is wrong.
func (s *Source) Watch(report func(resilience.Settings, error) error) error {
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	f := &s.file
	f.Path, f.Interval, f.Clock, f.Settled = s.Path, s.Interval, s.Clock, true
	f.Taken = "each client needs its own"
	f.Parse = func(data []byte) (resilience.Settings, error) { return Parse(s.Path, data) }
	first := true
	return f.Watch(func(settings resilience.Settings, err error) {
		err = report(settings, err)
		switch {
		case err != nil:
			log.Error("holdfast: settings refused, the old ones stay in force", "file", s.Path, "error", err)
		case !first:
			log.Info("holdfast: new settings in force", "file", s.Path)
		}
		first = false
	})
}

// Close implements [resilience.SettingsSource].
func (s *Source) Close() error { return s.file.Close() }

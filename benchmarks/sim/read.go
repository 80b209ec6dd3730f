package sim

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// Read reads a System from YAML: the fields of [System] by their YAML names,
// durations as in "250ms". It is strict: a field that is unknown is an error,
// and so is a value out of its range. A field that is left out has its
// default, so that an empty document is the zero System.
func Read(r io.Reader) (System, error) {
	var s System
	dec := yaml.NewDecoder(r)
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return System{}, errors.Join(unreadable(err), s.Validate())
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return System{}, errors.New("sim: more than one document: want one")
	}
	if err := s.Validate(); err != nil {
		return System{}, err
	}
	return s, nil
}

// unreadable is what package yaml found, an error each. What it could read is in
// the System all the same.
func unreadable(err error) error {
	var list *yaml.TypeError
	if !errors.As(err, &list) {
		return fmt.Errorf("sim: %w", err)
	}
	errs := make([]error, len(list.Errors))
	for i, text := range list.Errors {
		text, _, _ = strings.Cut(text, " in type ") // of Go's
		errs[i] = errors.New("sim: " + text)
	}
	return errors.Join(errs...)
}

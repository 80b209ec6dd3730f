package resilience

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// MarshalJSON writes durations as "250ms" and leaves zero fields out.
func (s Settings) MarshalJSON() ([]byte, error) { return appendSettings(nil, reflect.ValueOf(s)) }

// UnmarshalJSON is strict: an unknown field, a duration without a unit and a
// value of the wrong kind are errors that name the field, all at once, and with
// them what [Settings.Validate] says of the rest; alone, ranges are not checked.
// Fields that are not named keep their value.
func (s *Settings) UnmarshalJSON(data []byte) error {
	next := *s
	next.Methods = maps.Clone(s.Methods)
	if err := readSettings(data, reflect.ValueOf(&next).Elem(), ""); err != nil {
		return errors.Join(err, next.Validate())
	}
	*s = next
	return nil
}

var durationType = reflect.TypeFor[time.Duration]()

// fields lists the settings of a struct by name, embedded ones included.
func fields(v reflect.Value) (names []string, values []reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			n, w := fields(v.Field(i))
			names, values = append(names, n...), append(values, w...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names, values = append(names, name), append(values, v.Field(i))
	}
	return names, values
}

func appendSettings(b []byte, v reflect.Value) ([]byte, error) {
	switch {
	case v.Type() == durationType:
		return fmt.Appendf(b, "%q", v.Interface()), nil
	case v.Kind() == reflect.Pointer:
		return appendSettings(b, v.Elem())
	case v.Kind() == reflect.Struct:
		names, values := fields(v)
		return appendObject(b, names, values, empty)
	case v.Kind() == reflect.Map:
		names := slices.SortedFunc(maps.Keys(keyed(v)), strings.Compare)
		values := make([]reflect.Value, len(names))
		for i, n := range names {
			values[i] = v.MapIndex(reflect.ValueOf(n))
		}
		return appendObject(b, names, values, nil)
	}
	scalar, err := json.Marshal(v.Interface())
	return append(b, scalar...), err
}

func keyed(v reflect.Value) map[string]struct{} {
	m := make(map[string]struct{}, v.Len())
	for _, k := range v.MapKeys() {
		m[k.String()] = struct{}{}
	}
	return m
}

func empty(v reflect.Value) bool { return v.IsZero() || v.Kind() == reflect.Map && v.Len() == 0 }

// appendObject leaves out the members that skip says; nil: none.
func appendObject(b []byte, names []string, values []reflect.Value, skip func(reflect.Value) bool) ([]byte, error) {
	b = append(b, '{')
	first := true
	for i, v := range values {
		if skip != nil && skip(v) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		key, err := json.Marshal(names[i])
		if err != nil {
			return nil, err
		}
		b = append(append(b, key...), ':')
		if b, err = appendSettings(b, v); err != nil {
			return nil, fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return append(b, '}'), nil
}

func readSettings(data []byte, v reflect.Value, at string) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil
	}
	switch {
	case v.Type() == durationType:
		return readDuration(data, v, at)
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		err := readSettings(data, p.Elem(), at)
		v.Set(p)
		return err
	case v.Kind() == reflect.Struct:
		names, values := fields(v)
		return readObject(data, at, func(name string, raw json.RawMessage) error {
			i := slices.Index(names, name)
			if i < 0 {
				return wrong(join(at, name), "%s: unknown field; want one of %s", strings.Join(names, ", "))
			}
			return readSettings(raw, values[i], join(at, name))
		})
	case v.Kind() == reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		return readObject(data, at, func(name string, raw json.RawMessage) error {
			e := reflect.New(v.Type().Elem()).Elem()
			err := readSettings(raw, e, fmt.Sprintf("%s[%q]", at, name))
			v.SetMapIndex(reflect.ValueOf(name), e)
			return err
		})
	}
	if err := json.Unmarshal(data, v.Addr().Interface()); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return wrong(at, "%s: want %v, got %s", v.Kind(), kind.Value)
		}
		return wrong(at, "%s: %w", err)
	}
	return nil
}

func readDuration(data []byte, v reflect.Value, at string) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return wrong(at, "%s %s: want a duration with its unit, such as \"250ms\"", data)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return wrong(at, "%s %q: want a duration with its unit, such as \"250ms\"", text)
	}
	v.SetInt(int64(d))
	return nil
}

// readObject calls field for each member, in order, and joins what is wrong;
// a member that is there twice is.
func readObject(data []byte, at string, field func(string, json.RawMessage) error) error {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return &FieldError{at, fmt.Errorf("%s: want object, got %s", join("settings", at), kind.Value)}
		}
		return err
	}
	var errs []error
	seen := make(map[string]bool, len(whole))
	for in := json.NewDecoder(bytes.NewReader(data)); ; {
		token, err := in.Token()
		if err != nil { // the end: the whole has been read once
			return errors.Join(errs...)
		}
		name, ok := token.(string)
		if !ok {
			continue // a brace
		}
		var member json.RawMessage
		if err := in.Decode(&member); err != nil {
			return err
		}
		if seen[name] {
			errs = append(errs, wrong(join(at, name), "%s: there twice"))
			continue
		}
		seen[name] = true
		errs = append(errs, field(name, member))
	}
}

func join(at, name string) string {
	if at == "" || name == "" {
		return at + name
	}
	return at + "." + name
}

package settingsfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

func parseJSON(data []byte) (*document, error) {
	if !utf8.Valid(data) { // package json would replace what is wrong
		valid := len(data) - len(bytes.TrimLeftFunc(data, func(r rune) bool { return r != utf8.RuneError }))
		return nil, &at{lineAt(data, valid), errors.New("not UTF-8")}
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		line := lineAt(data, len(data))
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line = lineAt(data, int(syntax.Offset)-1)
		}
		return nil, &at{line, fmt.Errorf("not JSON: %w", err)}
	}
	r := &jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data)), lines: map[string]int{"": 1}}
	r.dec.UseNumber()
	r.value("", 0)
	return &document{data, r.lines}, nil
}

// maxDepth is more than settings have.
const maxDepth = 16

// jsonReader notes the lines of the fields in valid JSON.
type jsonReader struct {
	data  []byte
	dec   *json.Decoder
	lines map[string]int
}

func (r *jsonReader) value(path string, depth int) {
	if depth > maxDepth {
		_ = r.dec.Decode(new(json.RawMessage))
		return
	}
	token, _ := r.dec.Token()
	open, _ := token.(json.Delim)
	if open == 0 {
		return
	}
	for r.dec.More() {
		inner := path
		if open == '{' {
			key, _ := r.dec.Token()
			inner = join(path, key.(string))
			r.lines[inner] = lineAt(r.data, int(r.dec.InputOffset())-1)
		}
		r.value(inner, depth+1)
	}
	_, _ = r.dec.Token() // its end
}

// join names a field as resilience does.
func join(path, name string) string {
	switch path {
	case "":
		return name
	case "methods":
		return fmt.Sprintf("%s[%q]", path, name)
	}
	return path + "." + name
}

// lineAt returns the line, from 1, of the byte at offset.
func lineAt(data []byte, offset int) int {
	return 1 + strings.Count(string(data[:min(max(offset, 0), len(data))]), "\n")
}

package settingsfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// parseYAML makes JSON of YAML, so that both are held to the same rules.
func parseYAML(data []byte) (*document, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	if err := dec.Decode(&root); errors.Is(err, io.EOF) { // comments alone
		return nil, errEmpty
	} else if err != nil {
		return nil, syntax(err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, &at{more.Line, errors.New("a second document: want one")}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	r := &yamlReader{lines: map[string]int{"": root.Line}}
	r.value(root.Content[0], "", 0)
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return &document{r.out.Bytes(), r.lines}, nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// syntax takes the line out of the library's error.
func syntax(err error) error {
	text, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return &at{line, fmt.Errorf("not YAML: %s", text)}
}

// maxValues bounds what aliases can make of a small file.
const maxValues = 10_000

type yamlReader struct {
	out    bytes.Buffer
	lines  map[string]int
	errs   []error
	values int
	large  bool
}

func (r *yamlReader) fail(n *yaml.Node, path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	r.errs = append(r.errs, &at{n.Line, errors.New(text)})
	r.out.WriteString("null")
}

func (r *yamlReader) value(n *yaml.Node, path string, depth int) {
	if r.values++; r.values > maxValues || depth > maxDepth {
		if !r.large {
			r.fail(n, path, "more than settings can be, aliases included")
		}
		r.large = true
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		r.value(n.Alias, path, depth+1) // it may hold itself
	case yaml.MappingNode:
		r.mapping(n, path, depth)
	case yaml.SequenceNode:
		r.out.WriteByte('[')
		for i, e := range n.Content {
			if i > 0 {
				r.out.WriteByte(',')
			}
			r.value(e, path, depth+1)
		}
		r.out.WriteByte(']')
	default:
		r.scalar(n, path)
	}
}

func (r *yamlReader) mapping(n *yaml.Node, path string, depth int) {
	r.out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.fail(key, path, "want a name, got something that is none")
			continue
		}
		if i > 0 {
			r.out.WriteByte(',')
		}
		inner := join(path, key.Value)
		r.lines[inner] = key.Line
		r.put(key.Value)
		r.out.WriteByte(':')
		r.value(value, inner, depth+1)
	}
	r.out.WriteByte('}')
}

func (r *yamlReader) scalar(n *yaml.Node, path string) {
	var v any
	switch n.ShortTag() {
	case "!!null":
	case "!!bool":
		v = new(bool)
	case "!!int":
		v = new(int64)
	case "!!float":
		v = new(float64)
	case "!!str":
		v = new(string)
	default:
		r.fail(n, path, "%s: want a number, a text, true or false", n.Value)
		return
	}
	if v != nil {
		if err := n.Decode(v); err != nil {
			r.fail(n, path, "%s: %v", n.Value, err)
			return
		}
	}
	if f, ok := v.(*float64); ok && (*f != *f || *f-*f != 0) { // JSON has none
		r.fail(n, path, "%s: want a finite number", n.Value)
		return
	}
	r.put(v)
}

func (r *yamlReader) put(v any) {
	text, err := json.Marshal(v)
	if err != nil { // of a text, a number, true or false
		panic(err)
	}
	r.out.Write(text)
}

package selector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// parseNodes reads the content of a [FileSource]. It stops at the first
// problem; the error names the line and, where it is about one, the field.
func parseNodes(data []byte) ([]Node, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("the file is empty: want a JSON list of nodes")
	}
	if !utf8.Valid(data) { // package json would replace what is wrong
		return nil, fmt.Errorf("line %d: not UTF-8", lineAt(data, invalidUTF8(data)))
	}
	// What follows relies on valid JSON.
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		line := lineAt(data, len(data))
		var at *json.SyntaxError
		if errors.As(err, &at) {
			line = lineAt(data, int(at.Offset)-1)
		}
		return nil, fmt.Errorf("line %d: not JSON: %w", line, err)
	}
	p := &nodeParser{data: data, dec: json.NewDecoder(bytes.NewReader(data)), ids: make(map[string]int)}
	p.dec.UseNumber()
	return p.nodes()
}

type nodeParser struct {
	data []byte
	dec  *json.Decoder
	ids  map[string]int // index by identity
}

func (p *nodeParser) nodes() ([]Node, error) {
	if err := p.enter('[', "nodes", "a list"); err != nil {
		return nil, err
	}
	var nodes []Node
	for p.dec.More() {
		n, err := p.node(fmt.Sprintf("nodes[%d]", len(nodes)))
		if err != nil {
			return nil, err
		}
		id := n.identity()
		if first, ok := p.ids[id]; ok {
			return nil, p.errorf("nodes[%d]: duplicate of nodes[%d], id %q", len(nodes), first, id)
		}
		p.ids[id] = len(nodes)
		nodes = append(nodes, n)
	}
	if len(nodes) == 0 {
		return nil, p.errorf("nodes: the set is empty")
	}
	return nodes, nil
}

func (p *nodeParser) node(path string) (n Node, err error) {
	err = p.object(path, func(key string) (err error) {
		at := path + "." + key
		switch key {
		case "id":
			n.ID, err = p.text(at)
		case "addr":
			n.Addr, err = p.text(at)
		case "weight":
			n.Weight, err = p.weight(at)
		case "zone":
			n.Zone, err = p.text(at)
		case "meta":
			n.Meta = make(map[string]string)
			err = p.object(at, func(key string) (err error) {
				n.Meta[key], err = p.text(fmt.Sprintf("%s[%q]", at, key))
				return err
			})
		default:
			err = p.errorf("%s: unknown field %s: want id, addr, weight, zone or meta", path, quote(key))
		}
		return err
	})
	if err == nil && n.identity() == "" {
		err = p.errorf("%s: want an id or an addr", path)
	}
	return n, err
}

// object calls field at the value of each key.
func (p *nodeParser) object(path string, field func(key string) error) error {
	if err := p.enter('{', path, "an object"); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return p.errorf("%s: %w", path, err)
		}
		key, _ := t.(string)
		if seen[key] {
			return p.errorf("%s: field %s is there twice", path, quote(key))
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	_, err := p.dec.Token() // the end of the object
	return err
}

func (p *nodeParser) enter(open json.Delim, path, want string) error {
	t, err := p.dec.Token()
	if err == nil && t != open {
		err = fmt.Errorf("want %s, got %s", want, describe(t))
	}
	if err != nil {
		return p.errorf("%s: %w", path, err)
	}
	return nil
}

func (p *nodeParser) text(path string) (string, error) {
	t, err := p.dec.Token()
	s, ok := t.(string)
	if err == nil && !ok {
		err = fmt.Errorf("want a string, got %s", describe(t))
	}
	if err != nil {
		return "", p.errorf("%s: %w", path, err)
	}
	return s, nil
}

func (p *nodeParser) weight(path string) (int, error) {
	t, err := p.dec.Token()
	n, _ := t.(json.Number)
	w, bad := strconv.Atoi(n.String())
	if err == nil && (bad != nil || w < 0 || w > maxWeight) {
		err = fmt.Errorf("want a whole number from 0 (means 1) to %d, got %s", maxWeight, describe(t))
	}
	if err != nil {
		return 0, p.errorf("%s: %w", path, err)
	}
	return w, nil
}

// errorf says where the parser stands.
func (p *nodeParser) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", lineAt(p.data, int(p.dec.InputOffset())-1), fmt.Errorf(format, args...))
}

func describe(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case json.Delim:
		if t == '[' {
			return "a list"
		}
		return "an object"
	case json.Number:
		return shorten(t.String())
	case string:
		return quote(t)
	}
	return fmt.Sprint(t)
}

func quote(s string) string { return strconv.Quote(shorten(s)) }

func shorten(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// lineAt returns the line, from 1, of the byte at offset.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n"))
}

func invalidUTF8(data []byte) (offset int) {
	for offset < len(data) {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		offset += size
	}
	return offset
}

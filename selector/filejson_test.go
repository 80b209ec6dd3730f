package selector

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseNodes(t *testing.T) {
	got, err := parseNodes([]byte(twoNodes))
	want := []Node{{ID: "a"}, {ID: "b", Addr: "b:1", Weight: 2, Zone: "z", Meta: map[string]string{"rack": "12"}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := parseNodes([]byte("[\n{\"addr\": \"ä:1\", \"meta\": {}, \"weight\": 1000000}\n]\n")); err != nil || got[0].Addr != "ä:1" {
		t.Errorf("got %+v, %v, want one node", got, err)
	}
}

func TestParseNodesIsStrict(t *testing.T) {
	long := strings.Repeat("x", 1000)
	tests := []struct{ name, in, want string }{
		{"empty", "", "the file is empty: want a JSON list of nodes"},
		{"garbage", "hello", "line 1: not JSON: invalid character 'h'"},
		{"cut off", "[{\"id\":\n\"a\"", "line 2: not JSON: unexpected end of JSON input"},
		{"trailing comma", "[{\"id\": \"a\"},\n]", "line 2: not JSON: invalid character ']'"},
		{"more after the list", "[{\"id\": \"a\"}]\n\n[]", "line 3: not JSON: invalid character '['"},
		{"not UTF-8", "[{\"id\":\n\"\xff\"}]", "line 2: not UTF-8"},
		{"NUL", "[\x00]", "line 1: not JSON: invalid character '\\x00'"},
		{"deep", strings.Repeat("[", 20000), "line 1: not JSON: invalid character '[' exceeded max depth"},
		{"null", "null", "line 1: nodes: want a list, got null"},
		{"an object", `{"nodes": []}`, "line 1: nodes: want a list, got an object"},
		{"a number", "7", "line 1: nodes: want a list, got 7"},
		{"no nodes", "\n[]", "line 2: nodes: the set is empty"},
		{"a node that is a string", `["a:1"]`, `line 1: nodes[0]: want an object, got "a:1"`},
		{"a node that is a list", `[[]]`, "line 1: nodes[0]: want an object, got a list"},
		{"a node that is null", `[{"id": "a"}, null]`, "line 1: nodes[1]: want an object, got null"},
		{"unknown field", "[{\"id\": \"a\"},\n{\"id\": \"b\",\n\"port\": 1}]", `line 3: nodes[1]: unknown field "port": want id, addr, weight, zone or meta`},
		{"field in capitals", `[{"ID": "a"}]`, `nodes[0]: unknown field "ID"`},
		{"empty field", `[{"": 1}]`, `nodes[0]: unknown field ""`},
		{"long field", `[{"` + long + `": 1}]`, `unknown field "` + long[:40] + `…"`},
		{"repeated field", `[{"id": "a", "id": "b"}]`, `nodes[0]: field "id" is there twice`},
		{"repeated key in meta", `[{"id": "a", "meta": {"k": "1", "k": "2"}}]`, `nodes[0].meta: field "k" is there twice`},
		{"id is a number", `[{"id": 12}]`, "nodes[0].id: want a string, got 12"},
		{"id is null", `[{"id": null}]`, "nodes[0].id: want a string, got null"},
		{"addr is a list", `[{"addr": ["a"]}]`, "nodes[0].addr: want a string, got a list"},
		{"zone is a boolean", `[{"id": "a", "zone": true}]`, "nodes[0].zone: want a string, got true"},
		{"meta is a string", `[{"id": "a", "meta": "x"}]`, `nodes[0].meta: want an object, got "x"`},
		{"meta holds a number", `[{"id": "a", "meta": {"k\n": 1}}]`, `nodes[0].meta["k\n"]: want a string, got 1`},
		{"weight is a string", `[{"id": "a", "weight": "5"}]`, `nodes[0].weight: want a whole number from 0 (means 1) to 1000000, got "5"`},
		{"weight is negative", `[{"id": "a", "weight": -1}]`, "to 1000000, got -1"},
		{"weight is too much", `[{"id": "a", "weight": 1000001}]`, "to 1000000, got 1000001"},
		{"weight is a fraction", `[{"id": "a", "weight": 0.5}]`, "to 1000000, got 0.5"},
		{"weight is huge", `[{"id": "a", "weight": 1` + strings.Repeat("0", 100) + `}]`, "got 1000000000000000000000000000000000000000…"[:20]},
		{"weight is null", `[{"id": "a", "weight": null}]`, "to 1000000, got null"},
		{"neither id nor addr", `[{"id": "a"}, {"zone": "z"}]`, "nodes[1]: want an id or an addr"},
		{"empty id", `[{"id": ""}]`, "nodes[0]: want an id or an addr"},
		{"duplicate", "[{\"id\": \"a\"},\n{\"id\": \"b\"},\n{\"id\": \"a\"}]", `line 3: nodes[2]: duplicate of nodes[0], id "a"`},
		{"an address that is an id", `[{"id": "a"}, {"addr": "a"}]`, `nodes[1]: duplicate of nodes[0], id "a"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes, err := parseNodes([]byte(tt.in))
			if err == nil {
				t.Fatalf("got %+v, want an error", nodes)
			}
			if nodes != nil {
				t.Errorf("got nodes %+v besides the error", nodes)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %q\nwant %q", err, tt.want)
			}
			if n := len(err.Error()); n > 200 || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %d bytes, want one short line: %q", n, err)
			}
		})
	}
	_, err := parseNodes([]byte("[x"))
	if syntax := (*json.SyntaxError)(nil); !errors.As(err, &syntax) {
		t.Errorf("got %v, want it to match *json.SyntaxError", err)
	}
}

// jsonNode is the file's format, as another program would write it.
type jsonNode struct {
	ID     string            `json:"id,omitempty"`
	Addr   string            `json:"addr,omitempty"`
	Weight int               `json:"weight,omitempty"`
	Zone   string            `json:"zone,omitempty"`
	Meta   map[string]string `json:"meta,omitempty"`
}

func FuzzParseNodes(f *testing.F) {
	for _, s := range []string{
		twoNodes, "", "[]", "null", `[{"id": "a"}]`, `[{"id": "a", "id": "b"}]`, `[{"weight": 1e6, "addr": "\u0000"}]`,
		`[{"id":"\ud800"}]`, "[{\"id\": \"a\"},\n{\"addr\": \"a\"}]", `[{"id": "a", "meta": {"k": "v", "": ""}}]`, "[[[[", "\xef\xbb\xbf[]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		nodes, err := parseNodes(data)
		if err != nil {
			if nodes != nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v and %q, want one line and no nodes", nodes, err)
			}
			return
		}
		if err := CheckNodes(nodes); err != nil {
			t.Errorf("accepted a set that is not valid: %v", err)
		}
		// A lenient parser that accepts unknown fields reads the same.
		var lenient []jsonNode
		if err := json.Unmarshal(data, &lenient); err != nil || len(lenient) != len(nodes) {
			t.Fatalf("package json reads %+v, %v, want %+v", lenient, err, nodes)
		}
		for i, n := range nodes {
			if len(n.Meta) == 0 {
				n.Meta, lenient[i].Meta = nil, nil
			}
			if !reflect.DeepEqual(Node(lenient[i]), n) {
				t.Errorf("node %d: package json reads %+v, want %+v", i, lenient[i], n)
			}
		}
		again, err := json.Marshal(lenient)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseNodes(again); err != nil || len(back) != len(nodes) {
			t.Errorf("written back and read: %+v, %v, want %+v", back, err, nodes)
		}
	})
}

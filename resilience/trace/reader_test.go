package trace

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/selector"
)

// sample is a file of n attempts.
func sample(n int) []byte {
	b := header(nil, "web-1")
	for i := range n {
		b = appendRecord(b, &entry{
			start: int64(1e18) + int64(i), latency: 5, node: &selector.Node{ID: "a"}, service: "s", method: "m",
			outcome: "succeeded", attempt: 1, calls: 1,
		})
	}
	return b
}

func readAll(b []byte) (list []Record, err error) {
	r := NewReader(bytes.NewReader(b))
	for {
		x, err := r.Next()
		if err != nil {
			return list, err
		}
		list = append(list, x)
	}
}

// A file that was cut off anywhere reads up to the cut, and says where it is.
func TestTruncated(t *testing.T) {
	whole := sample(5)
	for cut := range whole {
		list, err := readAll(whole[:cut])
		lines := bytes.Count(whole[:cut], []byte("\n"))
		if len(list) != max(0, lines-1) {
			t.Fatalf("cut at %d: %d records of %d lines", cut, len(list), lines)
		}
		begin := bytes.LastIndexByte(whole[:cut], '\n') + 1
		if begin == cut {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("cut at %d, between lines: %v", cut, err)
			}
			continue
		}
		var b *BreakError
		if !errors.As(err, &b) || b.Line != lines+1 || b.Offset != int64(begin) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v, want line %d, byte %d", cut, err, lines+1, begin)
		}
	}
}

func TestBroken(t *testing.T) {
	good := string(sample(1))
	for _, row := range []struct{ name, add, why string }{
		{"no JSON", "what\n", "invalid character"},
		{"negative latency", `{"t":1,"l":-1}` + "\n", "latency"},
		{"no start", `{"l":1}` + "\n", "no start"},
		{"overflow", `{"t":9223372036854775807,"l":1}` + "\n", "latency"},
		{"unknown result", `{"t":1,"l":1,"r":"x"}` + "\n", "result"},
		{"from the future", `{"trace":2}` + "\n", "version 2"},
		{"endless line", `{"m":"` + strings.Repeat("x", 1<<20) + `"}` + "\n", "too long"},
		{"negative weight", `{"t":1,"l":1,"w":-5}` + "\n", "weight"},
	} {
		list, err := readAll([]byte(good + row.add + good))
		var b *BreakError
		if len(list) != 1 || !errors.As(err, &b) || b.Line != 3 || b.Offset != int64(len(good)) || !strings.Contains(err.Error(), row.why) {
			t.Errorf("%s: %d records, %v", row.name, len(list), err)
		}
	}
	if _, err := readAll([]byte(`{"t":1,"l":1}` + "\n")); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("no header: %v", err)
	}
}

// Fields of later versions are left alone, and files can be concatenated.
func TestConcatenated(t *testing.T) {
	b := append(sample(2), header(nil, "web-2")...)
	b = append(b, `{"t":5,"l":1,"later":{"x":1},"r":"i","a":3,"w":16}`+"\n"...)
	list, err := readAll(b)
	if !errors.Is(err, io.EOF) || len(list) != 3 {
		t.Fatalf("%d records, %v", len(list), err)
	}
	if x := list[2]; x.Client != "web-2" || x.Result != breaker.Ignored || x.Attempt != 3 || x.Calls != 16 || list[1].Client != "web-1" {
		t.Errorf("%+v", list)
	}
}

// FuzzReader holds that whatever is read can be written and read again, that
// the place of a break is within the file, and that nothing panics.
func FuzzReader(f *testing.F) {
	f.Add(sample(2))
	f.Add(sample(2)[:100])
	f.Add([]byte(`{"trace":1}` + "\n" + `{"lost":3}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := readAll(data)
		var b *BreakError
		switch {
		case errors.Is(err, io.EOF) && !errors.As(err, &b):
		case errors.As(err, &b):
			if b.Offset < 0 || b.Offset >= int64(len(data)) || b.Line < 1 || bytes.Count(data[:b.Offset], []byte("\n")) != b.Line-1 {
				t.Fatalf("%v in %d bytes", err, len(data))
			}
			if again, err := readAll(data[:b.Offset]); len(again) != len(list) || !errors.Is(err, io.EOF) {
				t.Fatalf("up to the break: %d records, then %d and %v", len(list), len(again), err)
			}
		default:
			t.Fatal(err)
		}
		for _, x := range list {
			if len(x.Service) > longest || len(x.Method) > longest || len(x.Node) > longest || len(x.Outcome) > longest || len(x.Client) > longest {
				continue
			}
			var out bytes.Buffer
			w := NewWriter(&out)
			if err := errors.Join(w.Write(x), w.Flush()); err != nil {
				t.Fatal(err)
			}
			again, err := readAll(out.Bytes())
			if len(again) != 1 || again[0] != x {
				t.Fatalf("%+v became %+v: %v", x, again, err)
			}
		}
	})
}

func TestEnd(t *testing.T) {
	r := Record{Start: time.Unix(1, 0), Latency: time.Second}
	if !r.End().Equal(time.Unix(2, 0)) {
		t.Error(r.End())
	}
}

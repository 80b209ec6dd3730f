// Package trace is the command `holdfast trace`, and what `holdfast tune`
// reads: traces of attempts (package resilience/trace), recorded by a service,
// imported from logs, or made by calling nodes.
package trace

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience/trace"
)

// Attempt is one of a [Set], whose lists its indices go into.
type Attempt struct {
	Start, Latency       int64 // ns since 1970; ns
	Client, Node, Method int32 // Node -1: none, it was held back
	Calls                int32 // how many it stands for
	Attempt              int32 // its number within the call
	Outcome              int16
	Result               breaker.Result
}

// End is when it ended.
func (a Attempt) End() int64 { return a.Start + a.Latency }

// Set is a trace in memory, in the order in which attempts ended.
type Set struct {
	Attempts []Attempt

	Clients, Nodes, Methods, Outcomes []string

	Files  int
	Lost   uint64  // attempts that recorders could not write
	Broken []error // where files end before their time; what is before it is here
}

// Span is the time from the first start to the last end.
func (s *Set) Span() time.Duration {
	if len(s.Attempts) == 0 {
		return 0
	}
	first := s.Attempts[0].Start
	for i := range s.Attempts {
		first = min(first, s.Attempts[i].Start)
	}
	return time.Duration(s.Attempts[len(s.Attempts)-1].End() - first)
}

// maxNames bounds the different names of a kind that are kept: those that come
// later share the last.
const maxNames = 10000

// Load reads files, and all *.ndjson and *.ndjson.gz files of folders.
func Load(paths ...string) (*Set, error) {
	files, err := expand(paths)
	if err != nil {
		return nil, err
	}
	b := newBuilder()
	for _, name := range files {
		if err := b.read(name); err != nil {
			return nil, err
		}
	}
	return b.set(), nil
}

func expand(paths []string) (files []string, err error) {
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		n := len(files)
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(strings.TrimSuffix(path, ".gz"), ".ndjson") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(files) == n {
			return nil, fmt.Errorf("%s: no *.ndjson files in this folder", p)
		}
	}
	return files, nil
}

// open opens a file for reading, unpacked if its name ends in .gz.
func open(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil || !strings.HasSuffix(name, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

type names struct {
	list  []string
	index map[string]int32
}

func (n *names) of(s string) int32 {
	if i, ok := n.index[s]; ok {
		return i
	}
	if len(n.list) == maxNames {
		n.list = append(n.list, "(others)")
	}
	if len(n.list) > maxNames {
		return maxNames
	}
	i := int32(len(n.list))
	s = strings.Clone(s)
	n.list, n.index[s] = append(n.list, s), i
	return i
}

type builder struct {
	s                                 *Set
	clients, nodes, methods, outcomes names
}

func newBuilder() *builder {
	fresh := func() names { return names{index: make(map[string]int32)} }
	return &builder{s: &Set{}, clients: fresh(), nodes: fresh(), methods: fresh(), outcomes: fresh()}
}

func (b *builder) read(name string) error {
	in, err := open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	r := trace.NewReader(in)
	b.s.Files++
	for {
		x, err := r.Next()
		switch {
		case err == nil:
			b.add(x)
			continue
		case !errors.Is(err, io.EOF), errors.As(err, new(*trace.BreakError)):
			b.s.Broken = append(b.s.Broken, fmt.Errorf("%s: %w", name, err))
		}
		b.s.Lost += r.Lost()
		return nil
	}
}

func (b *builder) add(x trace.Record) {
	node := int32(-1)
	if x.Node != "" {
		node = b.nodes.of(x.Node)
	}
	b.s.Attempts = append(b.s.Attempts, Attempt{
		Start: x.Start.UnixNano(), Latency: int64(x.Latency), Client: b.clients.of(x.Client), Node: node, Method: b.methods.of(x.Method),
		Calls: int32(x.Calls), Attempt: int32(x.Attempt), Outcome: int16(b.outcomes.of(x.Outcome)), Result: x.Result,
	})
}

func (b *builder) set() *Set {
	s := b.s
	s.Clients, s.Nodes, s.Methods, s.Outcomes = b.clients.list, b.nodes.list, b.methods.list, b.outcomes.list
	slices.SortStableFunc(s.Attempts, func(a, b Attempt) int { return cmp.Compare(a.End(), b.End()) })
	return s
}

// Of makes a Set of records.
func Of(records []trace.Record) *Set {
	b := newBuilder()
	for _, x := range records {
		b.add(x)
	}
	return b.set()
}

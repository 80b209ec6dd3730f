package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

var errOp = errors.New("the op's own error")

func newRec(t testing.TB, cfg Config) *Recorder {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// readDir reads all files of a folder, in the order of their names.
func readDir(t testing.TB, dir string) (list []Record, lost uint64) {
	t.Helper()
	for _, name := range names(t, dir) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(f)
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(name, err)
			}
			list = append(list, rec)
		}
		lost += r.Lost()
		_ = f.Close()
	}
	return list, lost
}

func names(t testing.TB, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func attempt(i int, o resilience.Outcome, err error) resilience.Event {
	return resilience.Event{
		Kind: resilience.AttemptDone, Service: "users", Method: "get", Attempt: 1, Node: &selector.Node{ID: "a"},
		Outcome: o, Err: err, Start: time.Unix(1000, int64(i)), Elapsed: time.Millisecond,
	}
}

// What a client's calls come to is in the files, attempt by attempt.
func TestRecordsWhatClientsDo(t *testing.T) {
	dir := t.TempDir()
	r := newRec(t, Config{Dir: dir, Client: "web-1"})
	client, err := resilience.New(resilience.Config{
		Service: "users", Observer: r, Nodes: selector.Addrs("10.0.0.1:80", "10.0.0.2:80"),
		Settings: resilience.Settings{Backoff: resilience.BackoffSettings{Initial: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	err = client.Do(context.Background(), resilience.Safe("GET \"x\"\n"), func(context.Context, *selector.Node) error {
		if calls++; calls == 1 {
			return errOp
		}
		return nil
	})
	if err = errors.Join(err, client.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	list, lost := readDir(t, dir)
	if len(list) != 2 || lost != 0 {
		t.Fatalf("%+v, %d lost", list, lost)
	}
	slices.SortFunc(list, func(a, b Record) int { return a.Attempt - b.Attempt })
	first, second := list[0], list[1]
	if first.Client != "web-1" || first.Service != "users" || first.Method != "GET \"x\"\n" || first.Calls != 1 {
		t.Errorf("%+v", first)
	}
	if first.Outcome != "ambiguous" || first.Result != breaker.Failure || second.Outcome != "succeeded" || second.Result != breaker.Success {
		t.Errorf("outcomes: %+v, %+v", first, second)
	}
	if first.Node == second.Node || !strings.HasPrefix(first.Node, "10.0.0.") || second.Attempt != 2 {
		t.Errorf("nodes: %+v, %+v", first, second)
	}
	if first.Start.IsZero() || second.Start.Before(first.Start) || first.Latency < 0 || first.End().After(second.End()) {
		t.Errorf("times: %+v, %+v", first, second)
	}
	if c := r.Counters(); c != (Counters{Written: 2}) {
		t.Errorf("%+v", c)
	}
}

// Of the successes one in so many is kept and stands for the others; all
// failures are.
func TestSamplingKeepsFailures(t *testing.T) {
	dir := t.TempDir()
	r := newRec(t, Config{Dir: dir, Every: 10, Buffer: 1 << 16})
	const n = 20000
	for i := range n {
		r.Observe(attempt(i, resilience.Succeeded, nil))
		if i%100 == 0 {
			r.Observe(attempt(i, resilience.Ambiguous, errOp))
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	list, _ := readDir(t, dir)
	good, bad := 0, 0
	for _, x := range list {
		if x.Result == breaker.Failure {
			bad += x.Calls
		} else {
			good += x.Calls
		}
	}
	if bad != n/100 {
		t.Errorf("%d failures of %d", bad, n/100)
	}
	if d := good - n; d < -2500 || d > 2500 { // 6 σ
		t.Errorf("the successes stand for %d of %d", good, n)
	}
	if c := r.Counters(); c.Sampled+c.Written != n+n/100 || c.Lost != 0 {
		t.Errorf("%+v", c)
	}
}

// Files are rotated by size and only so many are kept; other files stay.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "trace.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRec(t, Config{Dir: dir, FileBytes: 64 << 10, Files: 3, Buffer: 1 << 16})
	const n = 5000 // some 350 kB
	for i := range n {
		r.Observe(attempt(i, resilience.Succeeded, nil))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	files := names(t, dir)
	if len(files) != 4 || !slices.Contains(files, "trace.txt") {
		t.Fatalf("%v", files)
	}
	_ = os.Remove(other)
	list, _ := readDir(t, dir) // each has a header of its own
	if len(list) == 0 || len(list) >= n {
		t.Errorf("%d of %d records are left", len(list), n)
	}
	for _, name := range names(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() > 65<<10 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	// One that is started again goes on where this one ended.
	again := newRec(t, Config{Dir: dir, Files: 3})
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if after := names(t, dir); len(after) != 3 || after[2] <= files[2] {
		t.Errorf("%v after %v", after, files)
	}
}

// What does not fit is lost and counted, and the file says so.
func TestLost(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, Buffer: 1024, Flush: time.Hour}.withDefaults()
	r := newRecorder(cfg)
	r.files = &files{dir: dir, size: cfg.FileBytes, keep: 2, clk: r.clk}
	if err := r.files.open(); err != nil {
		t.Fatal(err)
	}
	const n = 3000
	for i := range n { // nobody writes yet
		r.Observe(attempt(i, resilience.Ambiguous, errOp))
	}
	lost := r.Counters().Lost
	if lost < n-1024 || lost > n-1024+4*batchSize {
		t.Errorf("%d lost", lost)
	}
	r.clk.Go(r.write)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	list, told := readDir(t, dir)
	if told != lost || uint64(len(list))+lost != n {
		t.Errorf("%d records, %d lost in the file, %d counted", len(list), told, lost)
	}
	r.Observe(attempt(0, resilience.Succeeded, nil)) // too late
	if r.Counters().Lost != lost+1 {
		t.Error("an attempt after Close is not counted as lost")
	}
}

// While there is no disk everything is lost, Close says why, and the service
// does not notice.
func TestNoDisk(t *testing.T) {
	r := newRecorder(Config{Dir: "x"}.withDefaults())
	gone := filepath.Join(t.TempDir(), "gone")
	r.files = &files{dir: gone, size: 1 << 20, keep: 2, clk: r.clk}
	r.clk.Go(r.write)
	for i := range 10 {
		r.Observe(attempt(i, resilience.Ambiguous, errOp))
	}
	if err := r.Close(); !errors.Is(err, errNoFile) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Close: %v", err)
	}
	if c := r.Counters(); c.Lost != 10 || c.Written != 0 {
		t.Errorf("%+v", c)
	}
}

// Many goroutines lose nothing that fits, and hostile names are bounded.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	r := newRec(t, Config{Dir: dir, Buffer: 1 << 16})
	const each = 2000
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range each {
				e := attempt(i, resilience.Ambiguous, errOp)
				e.Method = fmt.Sprint(strings.Repeat("\xff\x00", 1000), g, i)
				r.Observe(e)
			}
		})
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	list, lost := readDir(t, dir)
	if len(list) != 4*each || lost != 0 {
		t.Errorf("%d records, %d lost", len(list), lost)
	}
	for _, x := range list {
		if len(x.Method) > 3*longest { // U+FFFD for each byte
			t.Fatalf("a method of %d bytes", len(x.Method))
		}
	}
}

func TestConfigErrors(t *testing.T) {
	err := Config{Every: -1, FileBytes: 1, Files: 1, Buffer: 1, Flush: 1, Client: strings.Repeat("x", 129)}.Validate()
	for _, field := range []string{"dir", "client", "every", "fileBytes", "files", "buffer", "flush"} {
		if err == nil || !strings.Contains(err.Error(), "trace: "+field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no folder: no error")
	}
}

package trace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/trace"
	"github.com/holdfast-go/holdfast/selector"
)

func Example() {
	dir, err := os.MkdirTemp("", "trace")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	rec, err := trace.New(trace.Config{Dir: dir, Client: "web-3"})
	if err != nil {
		log.Fatal(err)
	}
	client, err := resilience.New(resilience.Config{Service: "users", Observer: rec, Nodes: selector.Addrs("10.0.0.1:80")})
	if err != nil {
		log.Fatal(err)
	}
	err = client.Do(context.Background(), resilience.Safe("get"), func(context.Context, *selector.Node) error { return nil })
	if err = errors.Join(err, client.Close(), rec.Close()); err != nil {
		log.Fatal(err)
	}

	files, _ := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	f, err := os.Open(files[0])
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for r := trace.NewReader(f); ; {
		x, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err) // a *trace.BreakError says where
		}
		fmt.Println(x.Client, x.Service, x.Method, x.Node, x.Outcome)
	}
	// Output: web-3 users get 10.0.0.1:80 succeeded
}

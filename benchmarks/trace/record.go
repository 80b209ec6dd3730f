package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
	"github.com/holdfast-go/holdfast/benchmarks/internal/flags"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/trace"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/wrapper/httpwrap"
)

const recordUsage = `Usage: holdfast trace record -nodes HOST:PORT,... -o FOLDER [flags]

Calls HTTP nodes of yours by GET, through a client with default settings, and
records the attempts. A service records its own calls, which is better: see
package resilience/trace.

Flags:
  -nodes LIST     addresses, with commas between them
  -o FOLDER       where the trace goes
  -path PATH      what is asked for (default /); several with commas, in turn
  -host NAME      the Host that nodes see (default service)
  -rate N         calls a second, in all, 0.1 to 10000 (default 50)
  -for D          how long, 1s to 24h (default 1m)
  -timeout D      of a call (default 5s)

` + cli.ReadExitCodes

type recording struct {
	nodes, paths []string
	folder, host string
	rate         float64
	span         time.Duration
	timeout      time.Duration
}

// maxInFlight bounds the calls under way: those that come when so many wait
// are not made, and said not to be.
const maxInFlight = 2000

func record(ctx context.Context, args []string, std cli.Streams) int {
	r := recording{paths: []string{"/"}, host: "service", rate: 50, span: time.Minute, timeout: 5 * time.Second}
	fs := flags.New("holdfast trace record")
	list := func(dst *[]string) func(string) error {
		return func(s string) error {
			*dst = strings.Split(s, ",")
			return nil
		}
	}
	fs.Func("nodes", "", list(&r.nodes))
	fs.Func("path", "", list(&r.paths))
	fs.StringVar(&r.folder, "o", "", "")
	fs.StringVar(&r.host, "host", r.host, "")
	fs.Func("rate", "", flags.Between(&r.rate, flags.Float, .1, 10000, "%v to %v calls a second"))
	fs.Func("for", "", flags.Between(&r.span, time.ParseDuration, time.Second, 24*time.Hour, "%v to %v"))
	fs.Func("timeout", "", flags.Between(&r.timeout, time.ParseDuration, time.Millisecond, time.Hour, "%v to %v"))
	err := flags.Parse(fs, args)
	switch {
	case err != nil:
	case len(r.nodes) == 0:
		err = errors.New("no -nodes")
	case r.folder == "":
		err = errors.New("no -o: want a folder for the trace")
	}
	if err != nil {
		return refuse(std, "record", recordUsage, err)
	}
	made, missed, counters, err := r.run(ctx)
	if err != nil {
		return refuse(std, "record", recordUsage, err)
	}
	fmt.Fprintf(std.Err, "holdfast trace record: %d calls, %d attempts in %s, %d lost; %d calls were not made: %d were waiting\n",
		made, counters.Written, r.folder, counters.Lost, missed, maxInFlight)
	if ctx.Err() != nil {
		return cli.Interrupted
	}
	return cli.Pass
}

func (r recording) run(ctx context.Context) (made, missed int, c trace.Counters, err error) {
	rec, err := trace.New(trace.Config{Dir: r.folder})
	if err != nil {
		return 0, 0, c, err
	}
	transport, err := httpwrap.New(httpwrap.Config{Services: map[string]resilience.Config{
		r.host: {Nodes: selector.Addrs(r.nodes...), Observer: rec},
	}})
	if err != nil {
		return 0, 0, c, errors.Join(err, rec.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, r.span)
	defer cancel()
	var wg sync.WaitGroup
	var waiting atomic.Int64
	for next := time.Now(); ; {
		next = next.Add(time.Duration(rand.ExpFloat64() / r.rate * float64(time.Second)))
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			wg.Wait()
			err = errors.Join(transport.Close(), rec.Close())
			return made, missed, rec.Counters(), err
		}
		if waiting.Load() >= maxInFlight {
			missed++
			continue
		}
		path := r.paths[made%len(r.paths)]
		made++
		waiting.Add(1)
		wg.Go(func() {
			defer waiting.Add(-1)
			r.call(transport, path)
		})
	}
}

// call makes a call to its end, also when no more are begun.
func (r recording) call(transport http.RoundTripper, path string) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host+path, nil)
	if err != nil {
		return
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return // it is in the trace
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/leaktest"
)

// The test binary plays the experiment's processes, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asProxy {
		runProxy()
	}
	if len(os.Args) > 1 && os.Args[1] == RoleCommand {
		os.Exit(RunRole([]Stack{naive{}}, os.Stdin, os.Stdout))
	}
	leaktest.Main(m)
}

// naive is a client without any resilience: random choice and one attempt.
type naive struct{ OverHTTP }

func (naive) Name() string { return "naive" }

func (naive) Info() Info { return Info{What: "a client without any resilience"} }

func (naive) Dial(cfg ClientConfig) (Client, error) { return naiveClient{cfg}, nil }

type naiveClient struct{ cfg ClientConfig }

func (c naiveClient) Do(ctx context.Context, route Route, id string) (string, error) {
	n := c.cfg.Nodes[rand.IntN(len(c.cfg.Nodes))]
	e := Entry{Kind: TriedNode, Route: route, ID: id, Attempt: 1, Node: n.ID, Start: time.Now()}
	defer func() {
		e.End = time.Now()
		c.cfg.Journal.Add(e)
	}()
	req, err := NewRequest(ctx, "http://"+n.Addr, route, id)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var op *net.OpError
		e.NotSent = errors.As(err, &op) && op.Op == "dial"
		return "", err
	}
	defer resp.Body.Close()
	node, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(node), err
}

func (naiveClient) Ambiguous(error) bool { return false }
func (naiveClient) Close() error         { return nil }

// The whole experiment with each fault, on a client that cannot cope: it must
// show.
func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for several seconds")
	}
	for _, fault := range []Fault{Kill, Stop, Refuse} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			var notices []string
			keep := t.TempDir()
			report, err := Failover(t.Context(), Config{
				Stacks: []Stack{naive{}}, Rate: 60, Duration: 3 * time.Second, Fault: fault, Seed: 3, Timeout: 500 * time.Millisecond, Keep: keep,
				Progress: func(p Progress) {
					if p.Notice != "" {
						notices = append(notices, fmt.Sprint(p.Phase, " ", p.Notice))
					}
				},
			})
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			s := report.Stacks[0]
			if want := len((Workload{Seed: 3, Rate: 60, Duration: 3 * time.Second}).Arrivals()); s.Requests != want {
				t.Errorf("%d requests, want %d", s.Requests, want)
			}
			down := 0
			for _, r := range s.Routes {
				if r.Phase == Down {
					down += r.Failed
				}
			}
			if down == 0 || s.AttemptsOnDeadNode == 0 {
				t.Errorf("failed while down %d, attempts on the dead node %d: %+v", down, s.AttemptsOnDeadNode, s)
			}
			if s.Victim != "hello-2" || s.AttemptsSeen["hello-1"] == 0 || s.AttemptsSeen["hello-2"] == 0 {
				t.Errorf("victim %s, attempts seen %v", s.Victim, s.AttemptsSeen)
			}
			if s.Duplicated != 0 || s.Lost != 0 || s.TimeToEjectMs != nil {
				t.Errorf("a client that does not repeat or eject: %+v", s)
			}
			if len(report.Judge("naive")) == 0 {
				t.Error("no violations")
			}
			if all := strings.Join(notices, "\n"); !strings.Contains(all, "down hello-2: "+fault.done()) || !strings.Contains(all, "back hello-2: "+fault.undone()) {
				t.Errorf("notices: %s", all)
			}
			files, err := os.ReadDir(keep)
			if err != nil || len(files) != 3 {
				t.Errorf("kept %v, %v; want two ledgers and a journal", files, err)
			}
		})
	}
}

// A process that ends by itself ends the experiment, which says which and why.
func TestFailoverWithAStackThatCannot(t *testing.T) {
	_, err := Failover(t.Context(), Config{Stacks: []Stack{unknown{}}, Duration: 3 * time.Second})
	if err == nil || !strings.Contains(err.Error(), `"unknown"`) {
		t.Errorf("got %v, want an error that names the stack", err)
	}
}

type unknown struct{ naive }

func (unknown) Name() string { return "unknown" }

func TestFailoverInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	var told atomic.Bool
	_, err := Failover(ctx, Config{
		Stacks: []Stack{naive{}}, Rate: 60, Duration: MaxDuration,
		Progress: func(p Progress) {
			if p.Sent > 20 {
				told.Store(true)
				cancel(why)
			}
		},
	})
	if !errors.Is(err, why) || !told.Load() {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestFailoverWithATakenPort(t *testing.T) {
	l, err := net.Listen("tcp", loopback+":0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	_, err = Failover(t.Context(), Config{Stacks: []Stack{naive{}}, Port: taken - 1})
	var port *PortError
	// The one before may be taken too, by anybody.
	if !errors.As(err, &port) || (port.Port != taken && port.Port != taken-1) {
		t.Fatalf("got %v, want a *PortError for %d", err, taken)
	}
	if port.Port == taken && port.For != roleUserAPI {
		t.Errorf("port %d is said to be for %s, want %s", taken, port.For, roleUserAPI)
	}
}

// A fault that had no effect is an error, not a run that proves nothing.
func TestFaultMustTakeEffect(t *testing.T) {
	l, err := net.Listen("tcp", loopback+":0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	if err := refused(t.Context(), l.Addr().String()); err == nil {
		t.Error("a port that is listened on counts as dead")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := refused(t.Context(), l.Addr().String()); err != nil {
		t.Error(err)
	}
	if err := poll(t.Context(), "never", func() (bool, error) { return false, errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	tries := 0
	if err := poll(t.Context(), "never", func() (bool, error) { tries++; return tries > 2, nil }); err != nil || tries != 3 {
		t.Error(err, tries)
	}
}

func TestConfigValidate(t *testing.T) {
	good := Config{Stacks: []Stack{naive{}}}
	if err := good.Validate(); err != nil {
		t.Error("the defaults:", err)
	}
	sparse := Config{Stacks: good.Stacks, Nodes: 20, Rate: 20, Duration: 3 * time.Second}
	if err := sparse.Validate(); err == nil || !strings.Contains(err.Error(), "rate 20: want at least 200") {
		t.Errorf("one request for the victim: %v", err)
	}
	bad := Config{
		Nodes: 1, Rate: math.NaN(), Duration: time.Second, Fault: "burn", Port: 65535, Keep: "/nonexistent",
		Work: -1, Timeout: time.Hour,
	}
	err := bad.Validate()
	for _, field := range []string{"stacks", "nodes 1", "rate NaN", "duration 1s", `fault "burn"`, "port 65535", "keep", "work", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
}

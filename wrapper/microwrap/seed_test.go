package microwrap_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"go-micro.dev/v5"
	"go-micro.dev/v5/broker"
	"go-micro.dev/v5/client"
	"go-micro.dev/v5/transport"

	"github.com/holdfast-go/holdfast/internal/realserver"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

const (
	asUserAPI = "MICROWRAP_TEST_AS_USER_API"
	withLine  = "MICROWRAP_TEST_WITH_THE_LINE"
)

// hystrixWrapper is the one that the article takes from go-micro's plugins.
type hystrixWrapper struct{ client.Client }

func (c *hystrixWrapper) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	return hystrix.Do(req.Service()+"."+req.Endpoint(), func() error {
		return c.Client.Call(ctx, req, rsp, opts...)
	}, nil)
}

// userAPI is the program of the article, as a process of its own: a service
// whose client retries three times whatever happens, inside a hystrix command.
// Where the registry comes from is the test's affair.
func userAPI(addr string) {
	always := func(context.Context, client.Request, int, error) (bool, error) { return true, nil }
	options := []micro.Option{
		micro.Name("user"),
		micro.Client(client.NewClient(
			client.Selector(lister{at(strings.Split(os.Getenv(belowIt), ",")...)}),
			client.Transport(transport.NewHTTPTransport(transport.Logger(silent))),
			client.Broker(broker.NewMemoryBroker(broker.Logger(silent))), client.WithLogger(silent),
			client.Retries(3), client.Retry(always),
		)),
	}
	if os.Getenv(withLine) != "" {
		options = append(options,
			micro.WrapClient(microwrap.New(microwrap.Config{})), // the line
		)
	}
	options = append(options, micro.WrapClient(func(c client.Client) client.Client { return &hystrixWrapper{c} }))
	c := micro.NewService(options...).Client()
	http.HandleFunc("GET /user/test", func(w http.ResponseWriter, r *http.Request) {
		var rsp Response
		if err := c.Call(r.Context(), c.NewRequest(service, "Hello.Greet", &Request{ID: "test"}), &rsp); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(rsp.Node))
	})
	check((&http.Server{Addr: addr, ReadHeaderTimeout: time.Minute}).ListenAndServe())
}

// The seed's experiment: of two instances one is killed, and GET /user/test goes
// on to be asked. As the article has it some answers are failures; with one line
// added none is.
func TestSeed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for go-micro's own retries")
	}
	for name, line := range map[string]string{"as in the article": "", "with the line": "1"} {
		t.Run(name, func(t *testing.T) {
			f := start(t, 2)
			api, err := realserver.Program(func(port string) (*exec.Cmd, error) {
				cmd := exec.CommandContext(context.Background(), os.Args[0], "127.0.0.1:"+port)
				cmd.Env = append(os.Environ(), asUserAPI+"=1", withLine+"="+line, belowIt+"="+f.addrs())
				return cmd, nil
			}, func(ctx context.Context, addr string) error {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				if err != nil {
					return err
				}
				return conn.Close()
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = api.Close() }()
			ask := func(n int) (failed int) {
				var bad atomic.Int64
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						for range n / 4 {
							if !get(t, "http://"+api.Addr+"/user/test") {
								bad.Add(1)
							}
						}
					})
				}
				all.Wait()
				return int(bad.Load())
			}
			if failed := ask(40); failed > 0 {
				t.Fatalf("%d failed before anything was wrong", failed)
			}
			f.nodes[1].Kill()
			switch failed := ask(80); {
			case line == "" && failed == 0:
				t.Error("nothing failed: there is nothing to cure")
			case line != "" && failed > 0:
				t.Errorf("%d of 80 failed", failed)
			default:
				t.Logf("%d of 80 failed", failed)
			}
		})
	}
}

func get(t *testing.T, url string) (ok bool) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

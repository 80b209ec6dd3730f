package harness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
)

// ProxyConfig is a program that stands between a client and the instances: a
// sidecar, or a client in any language that serves its own process.
type ProxyConfig struct {
	Argv   []string // its absolute path or its name in PATH, and its arguments; it must stay in the foreground
	Env    []string // besides this process's own
	Listen string   // host:port at which it serves hello's routes: [ClientConfig].Listen

	// Line, if not nil, is called with each line that it prints: what it says
	// about nodes can be written to the journal. Not concurrently.
	Line func(line string)
}

// StartProxy starts a proxy and returns a client of it: plain HTTP, one try.
// It ends with this process, on Linux however that ends. That it ends by
// itself ends this process, and with it the run.
func StartProxy(cfg ProxyConfig) (Client, error) {
	path, err := exec.LookPath(cfg.Argv[0])
	if err != nil {
		return nil, err
	}
	p := &proxy{base: "http://" + cfg.Listen, client: newLoadClient(), cmd: exec.Command(path, cfg.Argv[1:]...)} //nolint:noctx // it ends with this process
	p.cmd.Env = append(os.Environ(), cfg.Env...)
	p.cmd.SysProcAttr = childAttr()
	out := &lineCutter{each: cfg.Line}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.spawner = newSpawner()
	if err := p.spawner.start(p.cmd); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		err := fmt.Errorf("%s ended: %w: %s", cfg.Argv[0], p.cmd.Wait(), out.end.String())
		ended <- err
		<-ready
		if !p.closed.Load() {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	defer close(ready)
	if err := p.await(cfg.Listen, ended); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

type proxy struct {
	base    string
	client  *http.Client
	cmd     *exec.Cmd
	spawner *spawner // it ends with the thread that started it
	closed  atomic.Bool
}

// await waits until somebody listens.
func (p *proxy) await(addr string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return poll(ctx, "it does not listen at "+addr, func() (bool, error) {
		select {
		case err := <-ended:
			return false, err
		default:
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		conn.Close()
		return true, nil
	})
}

// Do implements Client.
func (p *proxy) Do(ctx context.Context, route Route, id string) (string, error) {
	req, err := NewRequest(ctx, p.base, route, id)
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	node, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.100s", resp.StatusCode, node)
	}
	return string(node), err
}

// Ambiguous implements Client: a proxy does not tell.
func (*proxy) Ambiguous(error) bool { return false }

// Close implements Client.
func (p *proxy) Close() error {
	p.closed.Store(true)
	p.client.CloseIdleConnections()
	err := p.cmd.Process.Kill()
	p.spawner.close()
	return err
}

// NewRequest is a call of hello over HTTP. base is an URL without a path.
func NewRequest(ctx context.Context, base string, route Route, id string) (*http.Request, error) {
	var body io.Reader
	if route == Post {
		body = strings.NewReader(`{"user":"` + id + `"}`)
	}
	req, err := http.NewRequestWithContext(ctx, route.Method(), base+route.Path(), body)
	if err == nil {
		req.Header.Set(RequestID, id)
	}
	return req, err
}

// lineCutter cuts what is written to it into lines, and keeps the end.
type lineCutter struct {
	each func(string)
	rest string
	end  tail
}

const longestLine = 16 << 10

func (l *lineCutter) Write(p []byte) (int, error) {
	_, _ = l.end.Write(p) // it does not fail
	if l.each == nil {
		return len(p), nil
	}
	l.rest += string(p)
	for {
		line, rest, ok := strings.Cut(l.rest, "\n")
		if !ok {
			break
		}
		l.each(line)
		l.rest = rest
	}
	if len(l.rest) > longestLine {
		l.rest = ""
	}
	return len(p), nil
}

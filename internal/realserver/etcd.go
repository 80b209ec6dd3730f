package realserver

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Etcd starts an etcd of one member, which keeps what it has answered for when
// it is killed.
func Etcd(args ...string) (*Server, error) {
	path, err := find("etcd")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "holdfast-etcd-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	peer, err := freePort()
	if err != nil {
		return nil, err
	}
	peers := "http://127.0.0.1:" + strconv.Itoa(peer)
	s.start = func(port string) (*exec.Cmd, error) {
		clients := "http://127.0.0.1:" + port
		flags := append([]string{
			"--data-dir", dir, "--name", "one", "--log-level", "error",
			"--listen-client-urls", clients, "--advertise-client-urls", clients,
			"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "one=" + peers,
		}, args...)
		return exec.Command(path, flags...), nil //nolint:noctx // its end is Close's
	}
	s.ping = func(ctx context.Context) error { return pingEtcd(ctx, s.Addr) }
	if err := s.first(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// pingEtcd succeeds when there is a leader.
func pingEtcd(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/health", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/health: %s", resp.Status)
	}
	return nil
}

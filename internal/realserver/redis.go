package realserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Redis starts a redis-server. Its settings are those that args add
// ("--appendonly", "yes", "--appendfsync", "always"); by default it saves
// nothing.
func Redis(args ...string) (*Server, error) {
	path, err := find("redis-server")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "holdfast-redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	s.start = func(port string) (*exec.Cmd, error) {
		flags := append([]string{
			"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--daemonize", "no",
		}, args...)
		return exec.Command(path, flags...), nil //nolint:noctx // its end is Close's
	}
	s.ping = func(ctx context.Context) error { return pingRedis(ctx, s.Addr) }
	if err := s.first(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// pingRedis succeeds when the data are loaded.
func pingRedis(ctx context.Context, addr string) error {
	conn, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+PONG") {
		return fmt.Errorf("PING: %q", line)
	}
	return nil
}

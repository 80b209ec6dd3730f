package realserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// debian is where postgresql's programs are that users do not call.
const debian = "/usr/lib/postgresql/*/bin"

// PostgresUser is the superuser of the servers that Postgres starts, with
// neither password nor database but "postgres".
const PostgresUser = "holdfast"

// Postgres makes a database cluster and starts a server for it. Its settings
// are those that args add ("-c", "max_connections=200"); fsync is off, which is
// safe as long as the machine lives: what was committed survives the server.
func Postgres(args ...string) (*Server, error) {
	initdb, err := find("initdb", debian)
	if err != nil {
		return nil, err
	}
	path, err := find("postgres", debian)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "holdfast-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	data := filepath.Join(dir, "data")
	s.start = func(port string) (*exec.Cmd, error) {
		flags := append([]string{
			"-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
		}, args...)
		cmd := exec.Command(path, flags...) //nolint:noctx // its end is Close's
		cmd.Dir = dir
		return cmd, unprivileged(cmd)
	}
	s.ping = func(ctx context.Context) error { return pingPostgres(ctx, s.Addr) }
	err = func() error {
		// It refuses to run as root: then it runs as its own user, whose the
		// directory must be.
		if err := giveAway(dir); err != nil {
			return err
		}
		cmd := exec.Command(initdb, "-D", data, "-U", PostgresUser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync") //nolint:noctx // it ends by itself
		cmd.Dir = dir
		if err := unprivileged(cmd); err != nil {
			return err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", initdb, err, out)
		}
		return s.first()
	}()
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// pingPostgres asks for TLS, which any server answers by one byte, and then
// for a session, which one that is still starting refuses.
func pingPostgres(ctx context.Context, addr string) error {
	conn, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	hello := "\x00\x03\x00\x00user\x00" + PostgresUser + "\x00database\x00postgres\x00\x00"
	message := append([]byte{0, 0, 0, byte(len(hello) + 4)}, hello...)
	if _, err := conn.Write(message); err != nil {
		return err
	}
	var kind [1]byte
	if _, err := io.ReadFull(conn, kind[:]); err != nil {
		return err
	}
	if kind[0] != 'R' { // AuthenticationOk
		return fmt.Errorf("session refused: %q", kind)
	}
	return nil
}

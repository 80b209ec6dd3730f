package realserver_test

import (
	"net"
	"testing"

	"github.com/holdfast-go/holdfast/internal/realserver"
)

// TestServers: each starts, survives a kill, and is gone when it is closed.
func TestServers(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(...string) (*realserver.Server, error){
		"redis": realserver.Redis, "postgres": realserver.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := realserver.For(t, start)
			s.Kill()
			if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr); err == nil {
				conn.Close()
				t.Error("killed, and it still listens")
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			s.Stop()
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

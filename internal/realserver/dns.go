package realserver

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"time"
)

// DNS starts a dnsmasq that knows nothing but what args add
// ("--host-record=a.test,127.0.0.2") and asks nobody else. It serves UDP and
// TCP.
func DNS(args ...string) (*Server, error) {
	path, err := find("dnsmasq", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	return Program(func(port string) (*exec.Cmd, error) {
		flags := append([]string{
			"--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--pid-file=", "--user=", "--group=",
			"--port=" + port, "--listen-address=127.0.0.1", "--bind-interfaces",
			"--no-resolv", "--no-hosts", "--local=/test/",
		}, args...)
		return exec.Command(path, flags...), nil //nolint:noctx // its end is Close's
	}, pingDNS)
}

// pingDNS succeeds when the server says of any name what it knows.
func pingDNS(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	_, err := resolver.LookupNetIP(ctx, "ip4", "ping.test.")
	if e, ok := err.(*net.DNSError); ok && e.IsNotFound { //nolint:errorlint // as the resolver returns it
		return nil
	}
	if err != nil {
		return fmt.Errorf("ping.test: %w", err)
	}
	return nil
}

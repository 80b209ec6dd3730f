package stacks

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// HAProxy is a plain HTTP client and HAProxy beside it.
type HAProxy struct{ harness.OverHTTP }

// haproxyConfig is its configuration file; %s are where it listens and a line
// a node.
const haproxyConfig = `defaults
  mode http
  timeout connect 250ms
  timeout server 250ms
  timeout client 60s
  retries 2
  option redispatch 1
  retry-on all-retryable-errors

listen hello
  bind %s
  http-request disable-l7-retry if METH_POST
  balance roundrobin
  option httpchk GET ` + harness.HealthPath + `
  default-server check observe layer7
%s`

// Name implements harness.Stack.
func (HAProxy) Name() string { return "haproxy" }

// Info implements harness.Stack.
func (HAProxy) Info() harness.Info {
	return harness.Info{
		What: "HAProxy beside the client's process, from Debian's package",
		Config: "its manual's words on retry-on (dangerous but for conn-failure, where a request may not be replayed), disable-l7-retry " +
			"(for POSTs) and option redispatch; checks every 2 s, down at the third, or at 10 errors in a row by observe layer7, all by default; " +
			sameForAll + ":\n" + fmt.Sprintf(haproxyConfig, "ADDRESS", "  server NODE ADDRESS\n"),
		Beside:      true,
		Unavailable: inPath("haproxy", "haproxy"),
	}
}

// Dial implements harness.Stack.
func (HAProxy) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	var servers strings.Builder
	for _, n := range cfg.Nodes {
		fmt.Fprintf(&servers, "  server %s %s\n", n.ID, n.Addr)
	}
	path, err := configFile(cfg, "haproxy.cfg", fmt.Sprintf(haproxyConfig, cfg.Listen, servers.String()))
	if err != nil {
		return nil, err
	}
	return harness.StartProxy(harness.ProxyConfig{
		Argv: []string{executable("haproxy"), "-db", "-f", path}, Listen: cfg.Listen,
		Line: func(line string) {
			if e, ok := haproxySays(line); ok {
				e.End = time.Now()
				cfg.Journal.Add(e)
			}
		},
	})
}

var haproxyServer = regexp.MustCompile(`Server hello/(\S+) is (DOWN|UP), reason: (.*)`)

// haproxySays reads what it prints of a node.
func haproxySays(line string) (e harness.Entry, ok bool) {
	m := haproxyServer.FindStringSubmatch(line)
	if m == nil {
		return e, false
	}
	e.Kind, e.Node, e.Detail = harness.Readmitted, m[1], m[3]
	if m[2] == "DOWN" {
		e.Kind = harness.Ejected
	}
	return e, true
}

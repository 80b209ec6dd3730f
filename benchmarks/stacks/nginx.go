package stacks

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// Nginx is a plain HTTP client and nginx beside it.
type Nginx struct{ harness.OverHTTP }

// nginxConfig is its configuration file; %[1]s is a directory of its own,
// %[2]s where it listens, %[3]s a line a node. One process is no fork that
// would outlive a killed master.
const nginxConfig = `daemon off;
master_process off;
error_log stderr warn;
pid %[1]s/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  scgi_temp_path %[1]s/scgi;
  uwsgi_temp_path %[1]s/uwsgi;
  keepalive_requests 1000000;
  upstream hello {
%[3]s    keepalive 64;
  }
  server {
    listen %[2]s;
    location / {
      proxy_pass http://hello;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 250ms;
      proxy_send_timeout 250ms;
      proxy_read_timeout 250ms;
      proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
      proxy_next_upstream_tries 3;
    }
  }
}
`

// Name implements harness.Stack.
func (Nginx) Name() string { return "nginx" }

// Info implements harness.Stack.
func (Nginx) Info() harness.Info {
	return harness.Info{
		What: "nginx beside the client's process, from Debian's package",
		Config: "ngx_http_upstream_module's example of keepalive for HTTP; max_fails=1 fail_timeout=10s by default; proxy_next_upstream " +
			"without non_idempotent, by default: a POST that was sent is not tried again; " + sameForAll + ":\n" +
			fmt.Sprintf(nginxConfig, "DIR", "ADDRESS", "    server ADDRESS;\n"),
		Beside:      true,
		Unavailable: inPath("nginx", "nginx"),
	}
}

// Dial implements harness.Stack.
func (Nginx) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	var servers strings.Builder
	ids := map[string]string{}
	for _, n := range cfg.Nodes {
		ids[n.Addr] = n.ID
		fmt.Fprintf(&servers, "    server %s;\n", n.Addr)
	}
	path, err := configFile(cfg, "nginx.conf", fmt.Sprintf(nginxConfig, cfg.Dir, cfg.Listen, servers.String()))
	if err != nil {
		return nil, err
	}
	return harness.StartProxy(harness.ProxyConfig{
		Argv: []string{executable("nginx"), "-e", "stderr", "-p", cfg.Dir, "-c", path}, Listen: cfg.Listen,
		Line: func(line string) {
			if node, ok := ids[nginxDisabled(line)]; ok {
				cfg.Journal.Add(harness.Entry{Kind: harness.Ejected, Node: node, End: time.Now(), Detail: "upstream server temporarily disabled"})
			}
		},
	})
}

var nginxUpstream = regexp.MustCompile(`upstream server temporarily disabled .*upstream: "http://([^/"]+)/`)

// nginxDisabled returns the address of the node that it says it disables. That
// it takes it back it does not say.
func nginxDisabled(line string) string {
	if m := nginxUpstream.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

package dns

import (
	"net"
	"net/netip"
	"os"
	"strings"
)

const resolvConf = "/etc/resolv.conf"

// systemServers returns the name servers of a resolv.conf(5), or, as net does
// where there are none, those of this machine. Of the file nothing else is
// used: names are absolute here.
func systemServers(path string) []string {
	data, _ := os.ReadFile(path)
	if servers := nameservers(string(data)); len(servers) > 0 {
		return servers
	}
	return []string{"127.0.0.1:53", "[::1]:53"}
}

// maxServers is resolv.conf's own limit (MAXNS).
const maxServers = 3

func nameservers(conf string) (servers []string) {
	for line := range strings.Lines(conf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" || len(servers) == maxServers {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, net.JoinHostPort(addr.String(), "53"))
		}
	}
	return servers
}

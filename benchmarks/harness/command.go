package harness

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Command is a stack that is a program of the user's own, in any language. One
// is started beside each client process, with the environment
//
//	HOLDFAST_LISTEN      host:port at which it shall serve HTTP
//	HOLDFAST_NODES       host:port of each instance, separated by commas
//	HOLDFAST_TIMEOUT_MS  how long a caller waits
//
// It answers GET and POST of any path by calling an instance with the same
// method, path, body and X-Request-Id, however it sees fit, and passes on the
// answer.
type Command struct {
	OverHTTP
	Label string   // the stack's name
	Argv  []string // its program and arguments
}

// ParseCommand reads NAME=PROGRAM ARGUMENT…, separated by spaces.
func ParseCommand(s string) (Command, error) {
	name, line, ok := strings.Cut(s, "=")
	argv := strings.Fields(line)
	if !ok || !word(name) || len(argv) == 0 {
		return Command{}, errors.New("want NAME=PROGRAM ARGUMENT…")
	}
	return Command{Label: name, Argv: argv}, nil
}

// Name implements Stack.
func (c Command) Name() string { return c.Label }

// Info implements Stack.
func (c Command) Info() Info {
	info := Info{What: "a command: " + c.Argv[0], Config: strings.Join(c.Argv, " "), Beside: true}
	if _, err := exec.LookPath(c.Argv[0]); err != nil {
		info.Unavailable = err
	}
	return info
}

// Dial implements Stack.
func (c Command) Dial(cfg ClientConfig) (Client, error) {
	addrs := make([]string, len(cfg.Nodes))
	for i, n := range cfg.Nodes {
		addrs[i] = n.Addr
	}
	client, err := StartProxy(ProxyConfig{Argv: c.Argv, Listen: cfg.Listen, Env: []string{
		"HOLDFAST_LISTEN=" + cfg.Listen,
		"HOLDFAST_NODES=" + strings.Join(addrs, ","),
		"HOLDFAST_TIMEOUT_MS=" + strconv.FormatInt(int64(cfg.Timeout/time.Millisecond), 10),
	}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Label, err)
	}
	return client, nil
}

package stacks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// sbin is where Debian has its servers, which is not in everybody's PATH.
const sbin = "/usr/sbin"

// executable returns the path of a server, or its name if there is none.
func executable(name string) string {
	for _, name := range []string{name, filepath.Join(sbin, name)} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return name
}

// inPath returns why a server cannot run here, or nil.
func inPath(name, debian string) error {
	if _, err := exec.LookPath(executable(name)); err != nil {
		return fmt.Errorf("%w (Debian: apt-get install %s)", err, debian)
	}
	return nil
}

var errNotBeside = errors.New("want a directory and an address for a program beside the client: it runs in holdfast bench only")

// configFile writes a configuration file for a program beside the client.
func configFile(cfg harness.ClientConfig, name, text string) (path string, err error) {
	if cfg.Dir == "" || cfg.Listen == "" {
		return "", errNotBeside
	}
	path = filepath.Join(cfg.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

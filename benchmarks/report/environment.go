package report

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Here is this machine and this binary.
func Here(now time.Time, command []string) Environment {
	e := Environment{
		Time: now.UTC().Truncate(time.Second), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), Command: command,
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		e.Kernel = strings.TrimSpace(string(release))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				e.Commit = s.Value
			}
		}
	}
	return e
}

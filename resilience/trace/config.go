package trace

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Config describes a [Recorder].
type Config struct {
	// Dir is the folder that the files go to; it is made if it is missing. One
	// recorder a folder: it removes the oldest files there. Required.
	Dir string

	// Client names who records: a process or a host. Default: the host's name.
	Client string

	// Every keeps one success in so many, chosen at random. All that are not
	// successes are kept. Default 1: all; at most 1e6.
	Every int

	// FileBytes is how large a file grows before the next is begun. Default
	// 64 MiB, at least 64 KiB.
	FileBytes int64

	// Files is how many files are kept, the present one included. Default 8,
	// at least 2.
	Files int

	// Buffer is how many attempts may wait to be written, 96 bytes each; those
	// that find it full are lost, and counted. Default 16384, at least 1024.
	Buffer int

	// Flush is how long an attempt waits at most to be written: what a crash
	// loses. Default 1 s.
	Flush time.Duration
}

// Validate returns all that is wrong, joined.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("trace: %s %v: want %s", field, value, want))
		}
	}
	check(c.Dir != "", "dir", `""`, "the folder for the files")
	check(len(c.Client) <= longest, "client", fmt.Sprintf("of %d bytes", len(c.Client)), fmt.Sprintf("at most %d bytes", longest))
	check(c.Every >= 0 && c.Every <= 1e6, "every", c.Every, "1 to 1e6 (0: default 1)")
	check(c.FileBytes == 0 || c.FileBytes >= 64<<10, "fileBytes", c.FileBytes, "at least 64 KiB (0: default 64 MiB)")
	check(c.Files == 0 || (c.Files >= 2 && c.Files <= 1e5), "files", c.Files, "2 to 1e5 (0: default 8)")
	check(c.Buffer == 0 || (c.Buffer >= 1024 && c.Buffer <= 1<<24), "buffer", c.Buffer, "1024 to 1<<24 attempts (0: default 16384)")
	check(c.Flush == 0 || (c.Flush >= time.Millisecond && c.Flush <= time.Hour), "flush", c.Flush, "1ms to 1h (0: default 1s)")
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Client == "" {
		c.Client, _ = os.Hostname()
		c.Client = c.Client[:min(len(c.Client), longest)]
	}
	orElse(&c.Every, 1)
	orElse(&c.FileBytes, 64<<20)
	orElse(&c.Files, 8)
	orElse(&c.Buffer, 16384)
	orElse(&c.Flush, time.Second)
	return c
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

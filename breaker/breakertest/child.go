package breakertest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// The environment of a child process: which case, and where its faults go.
const (
	childCase = "HOLDFAST_BREAKERTEST_CASE"
	childFile = "HOLDFAST_BREAKERTEST_FILE"
)

// patience is how long a child may take. It only ends what hangs.
const patience = 30 * time.Second

// inProcess runs the case in a child process, a copy of this test's binary,
// and returns what did not hold. One that hangs or crashes did not.
func (c item) inProcess(t *testing.T) []string {
	caller := t.Name()[:strings.LastIndexByte(t.Name(), '/')] // without the case's subtest
	segments := strings.Split(caller, "/")
	for i, s := range segments {
		segments[i] = "^" + regexp.QuoteMeta(s) + "$"
	}
	file := filepath.Join(t.TempDir(), "faults.json")
	ctx, cancel := clock.System.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run="+strings.Join(segments, "/"))
	cmd.Env = append(os.Environ(), childCase+"="+c.name, childFile+"="+file)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		if ctx.Err() != nil {
			return []string{fmt.Sprintf("it hangs: no end after %v", patience)}
		}
		return []string{fmt.Sprintf("the process died: %v\n%s", err, tail(out))}
	}
	var faults []string
	if err := json.Unmarshal(text, &faults); err != nil {
		t.Fatal(err)
	}
	return faults
}

func tail(out []byte) string {
	const most = 2000
	if len(out) > most {
		return string(out[:most]) + "…"
	}
	return string(out)
}

// inChild runs the case that the parent asked for, if this is a child process,
// and then ends it from within the bubble: goroutines of the engine may be
// left.
func inChild(t *testing.T, s Subject) bool {
	name := os.Getenv(childCase)
	for _, c := range contract {
		if c.name != name {
			continue
		}
		synctest.Test(t, func(*testing.T) {
			faults := newRig(s).try(c)
			text, err := json.Marshal(faults)
			if err == nil {
				err = os.WriteFile(os.Getenv(childFile), text, 0o600)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		})
	}
	return name != ""
}

package hystrix

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The library's goroutines never end, so whatever uses it runs in a child
// process: a copy of this test's binary, which finds its part by the test's
// name and leaves what it saw in a file.
const (
	childTest = "HOLDFAST_HYSTRIX_CHILD"
	childFile = "HOLDFAST_HYSTRIX_FILE"
)

// inChild returns what f returns in a child process. It may be called once in a
// test.
func inChild[T any](t *testing.T, f func() T) T {
	t.Helper()
	saw, out, err := child(t, f)
	if err != nil {
		t.Fatalf("the child process: %v\n%s", err, out)
	}
	return saw
}

// inBubble is inChild in virtual time.
func inBubble[T any](t *testing.T, f func() T) T {
	t.Helper()
	return inChild(t, func() (saw T) {
		synctest.Test(t, func(*testing.T) { leave(f()) }) // from within: goroutines are left
		return saw
	})
}

func child[T any](t *testing.T, f func() T) (saw T, out string, err error) {
	t.Helper()
	if os.Getenv(childTest) == t.Name() {
		leave(f())
	}
	file := filepath.Join(t.TempDir(), "saw.json")
	args := []string{"-test.run=^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$", fmt.Sprintf("-test.short=%v", testing.Short())}
	if end, ok := t.Deadline(); ok {
		args = append(args, fmt.Sprintf("-test.timeout=%v", time.Until(end)))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childTest+"="+t.Name(), childFile+"="+file)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return saw, string(text), err
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &saw)
	}
	return saw, string(text), err
}

func leave(saw any) {
	data, err := json.Marshal(saw)
	if err == nil {
		err = os.WriteFile(os.Getenv(childFile), data, 0o600)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

package boltstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/wrapper/idempotency"
	"github.com/holdfast-go/holdfast/wrapper/idempotency/boltstore"
)

const childPath = "HOLDFAST_BOLTSTORE_CHILD"

// TestMain is also the child's main.
func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		child(path)
	}
	leaktest.Main(m)
}

func reservation(n int) (idempotency.Key, idempotency.Reservation) {
	return idempotency.Key{byte(n), byte(n >> 8)}, idempotency.Reservation{
		Owner: idempotency.Owner{byte(n), byte(n >> 8)}, Lease: time.Hour, Lifetime: 2 * time.Hour,
	}
}

// child reserves and completes keys, and says what it has been promised, until
// it is killed.
func child(path string) {
	s, err := boltstore.Open(boltstore.Config{Path: path})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for n := 0; ; n++ {
		key, want := reservation(n)
		if _, err := s.Reserve(context.Background(), key, want); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("reserved", n)
		if n%2 == 0 {
			if err := s.Complete(context.Background(), key, want.Owner, []byte(fmt.Sprint("answer ", n))); err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
			fmt.Println("completed", n)
		}
	}
}

// TestSurvivesSIGKILL: what the store has said is in the file when its process
// is killed in the middle of its work.
func TestSurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reserved, completed := -1, -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		var n int
		_, _ = fmt.Sscan(rest, &n)
		switch word {
		case "reserved":
			reserved = n
		case "completed":
			completed = n
		default:
			t.Error(lines.Text())
		}
		if n == 20 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
	s := open(t, boltstore.Config{Path: path})
	defer s.Close() //nolint:errcheck // it was read only
	for n := range reserved + 1 {
		key, want := reservation(n)
		want.Owner[15] = 1
		found, err := s.Reserve(t.Context(), key, want)
		state := idempotency.Running
		if n%2 == 0 && n <= completed {
			state = idempotency.Done
		}
		// The last one may have been completed, and not said so any more.
		if err != nil || found.State != state && (n < reserved || found.State != idempotency.Done) ||
			found.State == idempotency.Done && string(found.Answer) != fmt.Sprint("answer ", n) {
			t.Errorf("key %d: %v %q, %v; want %v", n, found.State, found.Answer, err, state)
		}
	}
	if reserved < 20 || completed < 18 {
		t.Errorf("only %d were reserved and %d completed", reserved, completed)
	}
}

// TestFull: no more keys than are allowed, until others expire.
func TestFull(t *testing.T) {
	t.Parallel()
	s := open(t, boltstore.Config{Path: filepath.Join(t.TempDir(), "keys.db"), MaxKeys: 3, NoSync: true})
	defer s.Close() //nolint:errcheck // nothing is lost
	for n := range 4 {
		key, want := reservation(n)
		if n == 0 {
			want.Lease, want.Lifetime = 200*time.Millisecond, 200*time.Millisecond
		}
		if _, err := s.Reserve(t.Context(), key, want); errors.Is(err, idempotency.ErrFull) != (n == 3) {
			t.Errorf("key %d: %v", n, err)
		}
	}
	key, want := reservation(3)
	for range 1000 {
		if _, err := s.Reserve(t.Context(), key, want); err == nil {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Error("an expired key has left no room")
}

// TestLocked: a second process is told, and waits no longer than it should.
func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.db")
	s := open(t, boltstore.Config{Path: path})
	defer s.Close() //nolint:errcheck // nothing is lost
	if other, err := boltstore.Open(boltstore.Config{Path: path, Wait: 10 * time.Millisecond}); err == nil {
		_ = other.Close()
		t.Error("two have the file")
	}
}

// TestConfig: all that is wrong, at once.
func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := boltstore.Open(boltstore.Config{Wait: -1, MaxKeys: -1})
	for _, part := range []string{"path:", "wait -1ns", "maxKeys -1"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %s", err, part)
		}
	}
}

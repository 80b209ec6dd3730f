package settingsfile

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
)

// A client follows its file; a broken one changes nothing and is told once, in
// the log and to the observer, with its line.
//
//nolint:forbidigo // synctest bubble
func TestSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("attempts: 4")
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // the bubble keeps them apart; the race detector does not know
		var log lockedBuffer
		var heard []string
		client, err := resilience.New(resilience.Config{
			SettingsFrom: &Source{Path: path, Log: slog.New(slog.NewTextHandler(&log, nil))},
			Observer: resilience.ObserverFunc(func(e resilience.Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.Kind != resilience.NodeEvent {
					heard = append(heard, e.Kind.String())
				}
				if e.Kind == resilience.SettingsRefused && e.Err == nil {
					t.Error("refused for no reason")
				}
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		want := func(step string, attempts int, kinds, logged string) {
			t.Helper()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if n := client.Settings().Attempts; n != attempts {
				t.Errorf("%s: %d attempts, want %d", step, n, attempts)
			}
			if got := strings.Join(heard, ", "); got != kinds {
				t.Errorf("%s: heard %q, want %q", step, got, kinds)
			}
			if got := log.take(); !strings.Contains(got, logged) || (got == "") != (logged == "") {
				t.Errorf("%s: logged %q, want %q", step, got, logged)
			}
			heard = nil
		}
		want("at first", 4, "client opened", "")
		write("attempts: 5")
		want("changed", 5, "settings changed", "level=INFO")
		write("attempts: 500")
		want("out of range", 5, "settings refused", path+":1: attempts 500: want 1 to 100")
		want("once", 5, "", "")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		want("gone", 5, "settings refused", "no such file")
		write("{}")
		want("the defaults", 0, "settings changed", "level=INFO")
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		write("attempts: 6")
		want("closed", 0, "client closed", "")
	})
}

// A client is not made of a file that is wrong, and everything wrong is said.
func TestSourceIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, []byte("attempts: -1\nx: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		source *Source
		want   string
	}{
		{File(path), path + ":2: x: unknown field"},
		{File(path + ".yaml"), "no such file"},
		{&Source{Interval: 1}, "path: want"},
	} {
		_, err := resilience.New(resilience.Config{SettingsFrom: tt.source})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
		if err := tt.source.Watch(func(resilience.Settings, error) error { return nil }); err == nil {
			t.Error("it was not closed")
		}
	}
	if _, err := Read(path); !strings.Contains(err.Error(), ":2: x") {
		t.Error(err)
	}
	if _, err := Read(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	source := File(path)
	if err := os.WriteFile(path, []byte("attempts: 2"), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := resilience.New(resilience.Config{SettingsFrom: source})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // it cannot fail
	if err := source.Watch(nil); err == nil || !strings.Contains(err.Error(), "each client needs its own") {
		t.Errorf("a second client: %v", err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was written since the last time.
func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

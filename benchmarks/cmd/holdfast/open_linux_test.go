package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A browser is opened only if that is asked for; that there is none is said,
// and no more.
func TestOpen(t *testing.T) {
	const url = "http://127.0.0.1:1/#token=x"
	dir := t.TempDir()
	opened := filepath.Join(dir, "opened")
	if err := syscall.Mkfifo(opened, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	var out bytes.Buffer
	showURL(t.Context(), &out, url, true)
	if got := out.String(); got != "board: "+url+"\nboard: no browser was opened: exec: \"xdg-open\": executable file not found in $PATH\n" {
		t.Errorf("%q", got)
	}
	script := "#!/bin/sh\necho \"$1\" >" + opened + "\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	out.Reset()
	showURL(t.Context(), &out, url, false) // it would wait for a reader
	showURL(t.Context(), &out, url, true)
	got, err := os.ReadFile(opened) // waits for the script
	if err != nil || string(got) != url+"\n" {
		t.Errorf("%q, %v", got, err)
	}
}

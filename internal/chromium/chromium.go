// Package chromium drives a headless Chromium by its DevTools protocol, over a
// pipe, for tests of pages.
package chromium

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience is how long an answer may take, on a machine that does other things
// too.
const patience = time.Minute

// Browser is a running Chromium. Its tests' goroutine alone may use it.
type Browser struct {
	t    testing.TB
	in   *os.File // commands, each ended by a zero byte
	last int      // command's number

	mu      sync.Mutex
	replies map[int]chan reply
	gone    chan struct{} // closed when it says no more
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// Start starts a browser that ends with the test. Where there is none the test
// is skipped, or fails if CI says that there should be.
func Start(t testing.TB) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a browser")
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no chromium (Debian's package chromium): the page was not opened")
	}
	profile, err := os.MkdirTemp("", "holdfast-chromium-") // not t.TempDir, whose removal fails while the browser still writes
	if err != nil {
		t.Fatal(err)
	}
	commands, in, err1 := os.Pipe()
	out, answers, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{commands, answers}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = commands.Close()
	_ = answers.Close()
	b := &Browser{t: t, in: in, replies: make(map[int]chan reply), gone: make(chan struct{})}
	go b.listen(out)
	t.Cleanup(func() {
		if b.try("", "Browser.close", object{}, nil) == nil { // asked, it ends its own processes and leaves the profile alone
			select {
			case <-b.gone:
			case <-time.After(patience):
			}
		}
		kill()
		_ = cmd.Wait() // it was killed
		_ = in.Close()
		<-b.gone
		_ = out.Close()
		if err := os.RemoveAll(profile); err != nil {
			t.Log(err)
		}
	})
	return b
}

// listen hands out the answers. What the browser says unasked is left out.
func (b *Browser) listen(out *os.File) {
	defer close(b.gone)
	messages := bufio.NewReader(out)
	for {
		data, err := messages.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID int
			reply
		}
		if json.Unmarshal(bytes.TrimSuffix(data, []byte{0}), &m) != nil || m.ID == 0 {
			continue
		}
		b.mu.Lock()
		if c := b.replies[m.ID]; c != nil {
			c <- m.reply
			delete(b.replies, m.ID)
		}
		b.mu.Unlock()
	}
}

// call sends a command and decodes what it returns.
func (b *Browser) call(session, method string, params, into any) {
	b.t.Helper()
	if err := b.try(session, method, params, into); err != nil {
		b.t.Fatalf("chromium: %s: %v", method, err)
	}
}

func (b *Browser) try(session, method string, params, into any) error {
	b.last++
	command := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		command["sessionId"] = session
	}
	data, err := json.Marshal(command)
	if err != nil {
		return err
	}
	answer := make(chan reply, 1)
	b.mu.Lock()
	b.replies[b.last] = answer
	b.mu.Unlock()
	if _, err := b.in.Write(append(data, 0)); err != nil {
		return err
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case r := <-answer:
		if r.Error != nil {
			return errors.New(r.Error.Message)
		}
		if into != nil {
			return json.Unmarshal(r.Result, into)
		}
		return nil
	case <-b.gone:
		return errors.New("it has ended")
	case <-timeout.C:
		return fmt.Errorf("no answer within %v", patience)
	}
}

type object = map[string]any

// Page is a tab.
type Page struct {
	b       *Browser
	session string
	target  string
}

// Page opens an address in a tab of its own.
func (b *Browser) Page(url string) *Page {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &Page{b, attached.SessionID, target.TargetID}
	p.call("Page.enable", object{}, nil)
	p.call("Page.navigate", object{"url": url}, nil)
	p.Until("document.readyState === 'complete' && location.href !== 'about:blank'")
	return p
}

// Close closes the tab.
func (p *Page) Close() { _ = p.b.try("", "Target.closeTarget", object{"targetId": p.target}, nil) }

func (p *Page) call(method string, params, into any) {
	p.b.t.Helper()
	p.b.call(p.session, method, params, into)
}

// Eval evaluates JavaScript, waits for it if it is a promise, and decodes its
// value.
func (p *Page) Eval(script string, into any) {
	p.b.t.Helper()
	var r struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.call("Runtime.evaluate", object{"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true}, &r)
	if e := r.ExceptionDetails; e != nil {
		p.b.t.Fatalf("chromium: %s: %s %s", script, e.Text, e.Exception.Description)
	}
	if into == nil {
		return
	}
	if len(r.Result.Value) == 0 {
		r.Result.Value = []byte("null")
	}
	if err := json.Unmarshal(r.Result.Value, into); err != nil {
		p.b.t.Fatalf("chromium: %s: %v, of %s", script, err, r.Result.Value)
	}
}

// Until waits until a condition holds in the page.
func (p *Page) Until(condition string) {
	p.b.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		ok := false
		script := fmt.Sprintf(`new Promise(done => {
			const look = () => { try { return !!(%s) } catch { return false } };
			const end = performance.now() + 2000;
			const again = () => look() ? done(true) : performance.now() > end ? done(false) : setTimeout(again, 20);
			again();
		})`, condition)
		var r struct{ Result struct{ Value bool } }
		if err := p.b.try(p.session, "Runtime.evaluate", object{"expression": script, "awaitPromise": true, "returnByValue": true}, &r); err == nil {
			ok = r.Result.Value
		} // else the page has just been left for the next
		if ok {
			return
		}
		select {
		case <-p.b.gone:
			p.b.t.Fatal("chromium has ended")
		default:
		}
	}
	var text string
	p.Eval("document.body.innerText", &text)
	p.b.t.Fatalf("chromium: not within %v: %s; the page says:\n%.4000s", patience, condition, text)
}

// View sets the window's size, and what the reader prefers: "dark" or "light",
// and whether colours are seen as by somebody with a deficiency such as
// "deuteranopia", or "".
func (p *Page) View(width, height int, scheme, vision string) {
	p.b.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	p.call("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	if vision == "" {
		vision = "none"
	}
	p.call("Emulation.setEmulatedVisionDeficiency", object{"type": vision}, nil)
}

// Key presses a key, such as "Tab" or "Enter".
func (p *Page) Key(name string) {
	p.b.t.Helper()
	codes := map[string]object{
		"Tab":    {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
		"Enter":  {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
		"Escape": {"key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27},
		"Right":  {"key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39},
		"Down":   {"key": "ArrowDown", "code": "ArrowDown", "windowsVirtualKeyCode": 40},
	}
	key := codes[name]
	if key == nil {
		p.b.t.Fatalf("chromium: no key %q", name)
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		press := object{"type": kind}
		for k, v := range key {
			if k != "text" || kind == "keyDown" {
				press[k] = v
			}
		}
		p.call("Input.dispatchKeyEvent", press, nil)
	}
}

// Type types text into what has the focus.
func (p *Page) Type(text string) {
	p.b.t.Helper()
	p.call("Input.insertText", object{"text": text}, nil)
}

// Spoken is what a screen reader finds: a line a thing that has a role and a
// name, in order.
func (p *Page) Spoken() []string {
	p.b.t.Helper()
	var tree struct {
		Nodes []struct {
			Ignored bool
			Role    struct{ Value string }
			Name    struct{ Value string }
		}
	}
	p.call("Accessibility.getFullAXTree", object{}, &tree)
	var lines []string
	for _, n := range tree.Nodes {
		if !n.Ignored {
			lines = append(lines, n.Role.Value+": "+n.Name.Value)
		}
	}
	return lines
}

// Screenshot writes what is in the window to a PNG file, whose folder is made.
func (p *Page) Screenshot(file string) {
	p.b.t.Helper()
	var shot struct{ Data string }
	p.call("Page.captureScreenshot", object{"format": "png"}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o750)
	}
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		p.b.t.Fatal(err)
	}
}

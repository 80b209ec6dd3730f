package board

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/chromium"
	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
)

// shots is where screenshots are kept, as build artefacts.
func shots(name string) string { return filepath.Join("..", "..", "artifacts", "board", name+".png") }

// town is a process with something to see: users has five nodes, of which one
// is dead, and a candidate; orders has 500, of which a few are ill.
type town struct {
	board         *Board
	users, orders *resilience.Client
	refuse        *fixedSettings
	server        *httptest.Server
}

func newTown(t *testing.T, cfg Config, dead string) *town {
	t.Helper()
	w := &town{board: newBoard(t, cfg), refuse: &fixedSettings{}}
	w.users = realClient(t, w.board, config{Service: "users", Nodes: addrs(5), SettingsFrom: w.refuse})
	w.orders = realClient(t, w.board, config{Service: "orders", Nodes: addrs(500), Settings: sets{Strategy: "round-robin"}})
	w.server = httptest.NewServer(w.board)
	t.Cleanup(func() {
		_ = w.board.Close()
		w.server.Close()
	})
	if err := w.users.Shadow(&sets{Ejection: resilience.EjectionSettings{Excess: .9}, ServiceBreaker: &resilience.RuleSettings{}}); err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		if err := w.orders.Selector().Eject(fmt.Sprintf("10.0.%d.%d:8080", i%2, 20+7*i), "for the picture"); err != nil {
			t.Fatal(err)
		}
	}
	w.call(t, dead)
	return w
}

// call makes calls until the test ends, or enough for a picture at once.
func (w *town) call(t *testing.T, dead string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	op := func(ctx context.Context, n *selector.Node) error {
		_ = clock.System.Sleep(ctx, time.Duration(1+len(n.Addr)%7)*time.Millisecond)
		if n.Addr == dead {
			return resilience.Mark(errors.New("connection refused"), resilience.NotSent)
		}
		return nil
	}
	for _, c := range []*resilience.Client{w.users, w.orders} {
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					_ = c.Do(ctx, resilience.Safe("m"), op)
				}
			})
		}
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
}

const deadNode = "10.0.0.3:8080"

// TestPageInChromium is readable at 5 and at 500 nodes, in a wide window and on
// a phone, in light and dark; by keyboard; and to a screen reader.
func TestPageInChromium(t *testing.T) {
	browser := chromium.Start(t)
	w := newTown(t, Config{Steer: BearerToken("ann", secret)}, deadNode)
	page := browser.Page(w.server.URL + "/holdfast/#token=" + strings.ReplaceAll(secret, " ", "%20"))
	page.Until(`document.querySelector('tr[data-node="` + deadNode + `"].out')`)
	page.Until(`[...document.querySelectorAll('.service')].every(s => parseFloat(s.querySelector('dd').textContent) > 10)`)
	_ = w.refuse.report(resilience.Settings{}, errors.New(`users.yaml:7: ejection.excess 2: want above 0, at most 0.9 (0: default 1/3)`))
	page.Until(`document.querySelector('[role=alert].banner:not([hidden])').textContent.includes('users.yaml:7')`)

	var left string
	if page.Eval(`location.hash`, &left); left != "" {
		t.Errorf("the token stays in the address: %q", left)
	}
	for _, view := range []struct {
		name           string
		width, height  int
		scheme, vision string
	}{
		{"light", 1280, 900, "light", ""},
		{"dark", 1280, 900, "dark", ""},
		{"phone-light", 390, 844, "light", ""},
		{"phone-dark", 390, 844, "dark", ""},
		{"deuteranopia", 1280, 900, "light", "deuteranopia"},
		{"protanopia", 1280, 900, "dark", "protanopia"},
		{"tritanopia", 1280, 900, "light", "tritanopia"},
	} {
		page.View(view.width, view.height, view.scheme, view.vision)
		page.Eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`, nil)
		var wide bool
		if page.Eval(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &wide); wide {
			t.Errorf("%s: the page is wider than the window", view.name)
		}
		page.Screenshot(shots(view.name))
		for i, name := range []string{"orders", "users"} {
			page.Eval(fmt.Sprintf(`document.querySelectorAll('.service')[%d].scrollIntoView()`, i), nil)
			page.Screenshot(shots(view.name + "-" + name))
		}
		page.Eval(`scrollTo(0, 0)`, nil)
	}
	page.View(1280, 900, "light", "")

	spoken := strings.Join(page.Spoken(), "\n")
	for _, want := range []string{
		"heading: holdfast", "heading: users", "heading: orders", "button: Steer users", "button: Steer " + deadNode,
		"rowheader: " + deadNode, "columnheader: Next probe", "meter: score against threshold", "meter: retry budget",
		"status: ", "alert: ", "button: " + deadNode + ": ejected, ", "combobox: Kind", "image: out 1 time in ten minutes",
		"region: users", "table: users",
	} {
		if !strings.Contains(spoken, want) {
			t.Errorf("a screen reader does not find %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%.3000s", spoken)
	}

	// The grid of 500 is one stop of Tab; the arrows go through it, and Enter
	// lists the node.
	page.Eval(`document.querySelector('.grid:not([hidden]) [tabindex="0"]').focus()`, nil)
	for _, key := range []string{"Right", "Down", "Enter"} {
		page.Key(key)
	}
	var chosen struct {
		Stops   int
		Pressed bool
		Row     bool
	}
	page.Eval(`(() => { const c = document.activeElement; return {
		stops: document.querySelectorAll('.grid:not([hidden]) [tabindex="0"]').length, pressed: c.getAttribute('aria-pressed') === 'true',
		row: [...document.querySelectorAll('tr[data-node]')].some(r => c.getAttribute('aria-label').startsWith(r.dataset.node + ':')) } })()`, &chosen)
	if chosen.Stops != 1 || !chosen.Pressed || !chosen.Row {
		t.Errorf("by keyboard: %+v", chosen)
	}

	// Filters of the log.
	page.Eval(`(() => { const f = document.getElementById('filter-node'); f.value = '`+deadNode+`'; f.dispatchEvent(new Event('input', {bubbles: true})) })()`, nil)
	var nodes []string
	page.Eval(`[...new Set([...document.querySelectorAll('#log tr')].map(r => r.cells[2].textContent))]`, &nodes)
	if len(nodes) != 1 || nodes[0] != deadNode {
		t.Errorf("the log, of one node only: %q", nodes)
	}
}

// TestSteerInChromium: an order, by the page's own dialog; and what the page
// says about a token that is wrong.
func TestSteerInChromium(t *testing.T) {
	browser := chromium.Start(t)
	b := newBoard(t, Config{Steer: BearerToken("ann", secret), Read: BearerToken("ann", secret)})
	client := realClient(t, b, config{Service: "users", Nodes: addrs(3)})
	server := httptest.NewServer(b)
	defer server.Close()
	defer b.Close() //nolint:errcheck // it cannot fail
	page := browser.Page(server.URL + "/")
	page.Until(`document.getElementById('login').open`)
	page.Type("wrong")
	page.Key("Enter")
	page.Until(`document.getElementById('login').open && document.getElementById('token').value === ''`)
	page.Type(secret)
	page.Key("Enter")
	page.Until(`document.querySelector('.service')`)

	page.Eval(`document.querySelector('.title button').click()`, nil)
	page.Until(`document.getElementById('order').open`)
	page.Eval(`document.getElementById('order-settings').value = '{"ejection": {"maxShare": 0.25}}'; document.getElementById('order-why').focus()`, nil)
	page.Type("a third is too much")
	page.Key("Enter")
	page.Until(`!document.getElementById('order').open && document.querySelector('details pre').textContent.includes('"maxShare": 0.25')`)
	if got := client.Settings().Ejection.MaxShare; got != .25 {
		t.Errorf("%v", got)
	}
	page.Until(`document.getElementById('log').textContent.includes('ann did: settings')`)

	page.Eval(`document.querySelector('.title button').click()`, nil)
	page.Eval(`document.getElementById('order-settings').value = '{"ejection": {"maxShare": 7}}'; document.getElementById('order-why').focus()`, nil)
	page.Type("more")
	page.Key("Enter")
	page.Until(`document.getElementById('order-error').textContent.includes('ejection.maxShare 7: want above 0')`)
}

// TestSideBySideInChromium: a node that one process of three has lost is seen
// as that, and a process that is gone.
func TestSideBySideInChromium(t *testing.T) {
	browser := chromium.Start(t)
	var from []string
	for i := range 3 {
		dead := ""
		if i == 1 {
			dead = deadNode
		}
		from = append(from, strings.TrimPrefix(newTown(t, Config{}, dead).server.URL, "http://"))
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	from = append(from, strings.TrimPrefix(gone.URL, "http://"))
	gone.Close()
	g, err := Gather(GatherConfig{From: from})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close() //nolint:errcheck // it cannot fail
	server := httptest.NewServer(g)
	defer server.Close()
	defer g.Close() //nolint:errcheck // the same: before the server, which waits for its streams
	page := browser.Page(server.URL + "/")
	page.Until(`[...document.querySelectorAll('#beside tr.part th')].some(th => th.textContent === '` + deadNode + `')`)
	page.Until(`[...document.querySelectorAll('#beside p')].some(c => c.textContent.startsWith('users: 1 of 5 nodes are out for some processes'))`)
	var row []string
	page.Eval(`[...[...document.querySelectorAll('#beside tr.part')].find(r => r.cells[0].textContent === '`+deadNode+`').cells].map(c => c.textContent)`, &row)
	if len(row) != 5 || row[1] != "◩ out for 1 of 3" || !strings.HasPrefix(row[2], "● in") || !strings.HasPrefix(row[3], "✕ ejected") || !strings.HasPrefix(row[4], "● in") {
		t.Errorf("%q", row)
	}
	var list string
	if page.Eval(`document.getElementById('process-list').textContent`, &list); !strings.Contains(list, "✕ "+from[3]+": ") {
		t.Errorf("the process that is gone: %q", list)
	}
	for _, view := range []struct {
		name, scheme  string
		width, height int
	}{{"beside-light", "light", 1280, 900}, {"beside-dark", "dark", 1280, 900}, {"beside-phone", "light", 390, 844}} {
		page.View(view.width, view.height, view.scheme, "")
		var wide bool
		if page.Eval(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &wide); wide {
			t.Errorf("%s: the page is wider than the window", view.name)
		}
		page.Screenshot(shots(view.name))
	}
}

package report

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// listen goes into a copy of the report: its policy forbids to fetch anything,
// and what it has forbidden is written down.
const listen = `<script>var fetched = []; addEventListener('securitypolicyviolation', e => fetched.push(e.blockedURI))</script>`

// probe goes to its end: it writes down what was drawn.
const probe = `<script>
const box = e => { const b = e.getBoundingClientRect(); return b.width * b.height };
document.body.innerHTML = '<pre id="probe">' + JSON.stringify({
  charts: [...document.querySelectorAll('svg.chart')].map(c => ({
    kind: c.classList[1], area: box(c),
    series: [...c.querySelectorAll('path.series')].map(p => ({
      name: p.classList[1], length: p.getTotalLength(), width: p.getBBox().width,
      colour: getComputedStyle(p).stroke, thick: parseFloat(getComputedStyle(p).strokeWidth)})),
    ill: [...c.querySelectorAll('rect.ill')].map(box),
    fault: [...c.querySelectorAll('rect.fault')].map(box)})),
  wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
  fetched: [...fetched, ...performance.getEntriesByType('resource').map(e => e.name)]}) + '</pre>';
</script></body>`

type probed struct {
	Charts []struct {
		Kind   string
		Area   float64
		Series []struct {
			Name, Colour         string
			Length, Width, Thick float64
		}
		Ill, Fault []float64
	}
	Wide    bool
	Fetched []string
}

// Chromium draws every chart, in a narrow window too, and the page asks for
// nothing from outside.
func TestInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a browser")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no chromium (Debian's package chromium): the report was not opened")
	}
	r := fixture(t)
	var page bytes.Buffer
	if err := WriteHTML(&page, r); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(page.String(), "default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';", 1)
	text = strings.Replace(text, "<meta name", listen+"<meta name", 1)
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(strings.Replace(text, "</body>", probe, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"1280,900", "500,900"} { // no window is narrower
		dom := chromium(t, browser, file, "--dump-dom", "--window-size="+size)
		found := regexp.MustCompile(`(?s)<pre id="probe">(.*?)</pre>`).FindStringSubmatch(dom)
		if found == nil {
			t.Fatalf("%s: the probe did not run:\n%.300s", size, dom)
		}
		var p probed
		if err := json.Unmarshal([]byte(html.UnescapeString(found[1])), &p); err != nil {
			t.Fatal(err)
		}
		drawn(t, size, &p, r.Summary)
	}
}

func drawn(t *testing.T, size string, p *probed, s *Summary) {
	t.Helper()
	if p.Wide {
		t.Errorf("%s: the page is wider than the window", size)
	}
	if len(p.Fetched) > 0 {
		t.Errorf("%s: fetched %q", size, p.Fetched)
	}
	kinds := map[string]int{}
	for i, c := range p.Charts {
		kinds[c.Kind]++
		want := []string{"failed", "good", "attempts", "p99"}
		if c.Kind == "ccdf" {
			want = want[:0]
			for _, st := range s.Stacks {
				want = append(want, "s"+string(rune('0'+stackIndex(s, st.Name))))
			}
		} else if len(c.Ill) == 0 || c.Ill[0] <= 0 || len(c.Fault) == 0 || c.Fault[0] <= 0 {
			t.Errorf("%s: chart %d: the fault is not drawn: %+v", size, i, c)
		}
		if c.Area < 10_000 {
			t.Errorf("%s: chart %d: %v square pixels", size, i, c.Area)
		}
		var lines []string
		for _, x := range c.Series {
			if x.Length > 50 && x.Width > 50 && x.Thick > 0 && x.Colour != "none" {
				lines = append(lines, x.Name)
			}
		}
		if strings.Join(lines, " ") != strings.Join(want, " ") {
			t.Errorf("%s: chart %d: drawn are the lines %q, want %q", size, i, lines, want)
		}
	}
	if kinds["time"] != len(s.Scenarios)*len(s.Stacks) || kinds["ccdf"] != len(s.Scenarios) {
		t.Errorf("%s: %v, want a timeline for each of %d × %d, and a chart of latencies a scenario", size, kinds, len(s.Scenarios), len(s.Stacks))
	}
}

func chromium(t *testing.T, browser, file string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=" + t.TempDir(),
	}, append(args, "file://"+file)...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	return string(out)
}

package board

import (
	"bytes"
	"embed"
	"encoding/json"
	"net/http"
	"time"
)

//go:embed assets
var assets embed.FS

// asset serves a file of the page. It holds nothing of the process.
func asset(name, kind string) http.HandlerFunc {
	data, err := assets.ReadFile("assets/" + name)
	if err != nil { // it is compiled in
		panic(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", kind+"; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	}
}

// assetOf serves the page's files by their names.
var assetOf = map[string]http.HandlerFunc{
	"":           asset("board.html", "text/html"),
	"board.css":  asset("board.css", "text/css"),
	"board.js":   asset("board.js", "text/javascript"),
	"beside.js":  asset("beside.js", "text/javascript"),
	"charts.js":  asset("charts.js", "text/javascript"),
	"service.js": asset("service.js", "text/javascript"),
	"steer.js":   asset("steer.js", "text/javascript"),
	"words.js":   asset("words.js", "text/javascript"),
}

// liveStep is how soon the page hears of what the log says: state and figures
// come each second, and before it when something happened.
const liveStep = 250 * time.Millisecond

// live is what the page is sent.
type live struct {
	log    log
	frames frames
	state  func() any // a [State], or what looks like one, without its log
}

// serveLive streams to the page: "state" events, which are a [State] without
// its log, and "log" events, which are the entries that are new. A state comes
// each second, and once in between if something happens: a storm of events
// makes two states a second, and no more.
func (b *streams) serveLive(w http.ResponseWriter, r *http.Request, l *live) {
	const perSecond = int64(time.Second / liveStep)
	heard, last, early := uint64(0), int64(-1), int64(-1)
	b.stream(w, r, liveStep, func(step int64) []byte {
		entries, second := l.log.since(heard), step/perSecond
		var data []byte
		if len(entries) > 0 {
			heard = entries[len(entries)-1].ID
			data = event("log", entries)
		}
		switch {
		case second != last:
			last = second
		case len(entries) > 0 && second != early:
			early = second
		default:
			return data
		}
		frame := l.frames.of(step, func() []byte { return event("state", l.state()) })
		if data == nil {
			return frame
		}
		return append(data, frame...)
	})
}

func event(name string, v any) []byte {
	var buf bytes.Buffer
	buf.WriteString("event: " + name + "\ndata: ")
	if err := json.NewEncoder(&buf).Encode(v); err != nil { // of plain structs with finite numbers
		panic(err)
	}
	buf.WriteByte('\n') // Encode has written one
	return buf.Bytes()
}

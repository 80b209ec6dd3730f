package board

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// peer is a board of another process that a [Gathering] follows.
type peer struct {
	board  *Gathering
	name   string
	url    *url.URL
	client *http.Client
	header http.Header

	mu       sync.Mutex
	heard    time.Time
	error    string
	services []fields
	last     Entry // of its log, that was passed on
}

// fields is a JSON object, of which not all is known.
type fields map[string]json.RawMessage

const (
	askAgain = time.Second      // after a stream has ended
	silence  = 10 * time.Second // a board says something each second
	maxFrame = 64 << 20
)

// follow reads the peer's stream, again and again.
func (p *peer) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := p.read(ctx)
		p.mu.Lock()
		p.error = short(err.Error())
		p.mu.Unlock()
		_ = clock.System.Sleep(ctx, askAgain)
	}
}

// read reads one stream to its end, which is an error.
func (p *peer) read(ctx context.Context) error {
	ctx, cancel := clock.System.WithCancel(ctx)
	defer cancel(nil)
	silent := fmt.Errorf("nothing heard for %v", silence)
	watch := clock.System.AfterFunc(silence, func() { cancel(silent) })
	defer func() { watch() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.JoinPath("state.stream").String(), nil)
	if err != nil {
		return err
	}
	maps.Copy(req.Header, p.header)
	resp, err := p.client.Do(req)
	if err != nil {
		var inner *url.Error // its address is known
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return because(ctx, err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	} else if !strings.HasPrefix(kind, "text/event-stream") {
		return fmt.Errorf("%q: want a board's stream", kind)
	}
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		name, data, err := readEvent(lines)
		if err != nil {
			return because(ctx, err)
		}
		watch()
		watch = clock.System.AfterFunc(silence, func() { cancel(silent) })
		if err := p.take(name, data); err != nil {
			return err
		}
	}
}

// because prefers why a context was ended to what that did to err.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the stream has ended")
	}
	return err
}

// readEvent reads one event, as event writes them.
func readEvent(r *bufio.Reader) (name string, data []byte, err error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return "", nil, err
		}
		field, value, _ := bytes.Cut(line, []byte(": "))
		switch string(field) {
		case "":
			if len(line) == 0 && name != "" {
				return name, data, nil
			}
		case "event":
			name = string(value)
		case "data":
			data = value
		}
	}
}

func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxFrame:
			return nil, fmt.Errorf("an event of more than %d MiB", maxFrame>>20)
		}
	}
}

// take takes an event of the peer's stream.
func (p *peer) take(name string, data []byte) error {
	switch name {
	case "state":
		return p.takeState(data)
	case "log":
		var entries []Entry
		if err := json.Unmarshal(data, &entries); err != nil {
			return fmt.Errorf("its log: %w", err)
		}
		p.takeLog(entries)
	}
	return nil
}

func (p *peer) takeState(data []byte) error {
	var st struct {
		SchemaVersion int
		Processes     []Process
		Services      []fields
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("its state: %w", err)
	}
	if st.SchemaVersion != SchemaVersion {
		return fmt.Errorf("its state has version %d, want %d", st.SchemaVersion, SchemaVersion)
	}
	if st.Processes != nil {
		return errors.New("it is a gathering itself: name the boards that it gathers")
	}
	process, err := json.Marshal(p.name)
	if err != nil {
		return err
	}
	for _, s := range st.Services {
		if s == nil {
			return errors.New("its state: want services, got null")
		}
		s["process"] = process
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard, p.error, p.services = clock.System.Now(), "", st.Services
	return nil
}

// takeLog passes on what is new: a stream begins with all there is, and a
// process that was started again counts its entries from 1.
func (p *peer) takeLog(entries []Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range entries {
		if e.ID == p.last.ID && e.At.Equal(p.last.At) {
			entries = entries[i+1:]
			break
		}
	}
	for _, e := range entries[max(0, len(entries)-maxLog):] {
		e = e.bounded()
		p.last = e
		e.Process = p.name
		p.board.log.add(e)
	}
}

// bounded is an entry as a board writes one: what another process says may be
// of any length.
func (e Entry) bounded() Entry {
	for _, text := range []*string{&e.Service, &e.Node, &e.Kind, &e.Error, &e.Who, &e.Did, &e.Why} {
		*text = short(*text)
	}
	if e.Reason != nil {
		r := *e.Reason
		r.Cause, r.Rule, r.Note = short(r.Cause), short(r.Rule), short(r.Note)
		e.Reason = &r
	}
	return e
}

func (p *peer) look() (Process, []fields) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Process{Name: p.name, URL: p.url.String(), Heard: maybe(p.heard), Error: p.error}, p.services
}

package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// startClient makes the clients of this process.
func (p *process) startClient() error {
	stack, err := p.stack()
	if err != nil {
		return err
	}
	p.journal = NewJournal(os.NewFile(outputFD, "journal"), func(e Entry) { p.say(message{Type: msgNotice, Entry: &e}) })
	beside := stack.Info().Beside
	for i := range max(1, p.cfg.Load.Clients) {
		if beside && i > 0 {
			p.clients = append(p.clients, p.clients[0])
			continue
		}
		dir := filepath.Join(p.cfg.Dir, strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		c, err := stack.Dial(ClientConfig{
			Nodes: p.cfg.Upstream, Timeout: p.cfg.Timeout, Journal: p.journal.As(i), Dir: dir, Listen: p.cfg.Node.Addr,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", stack.Name(), err)
		}
		p.clients = append(p.clients, c)
	}
	return nil
}

// load puts this process's share of the load on the instances and writes down
// what came of it.
func (p *process) load(start time.Time) {
	l := &load{start: start, fire: p.fire}
	stop := p.tellCounts(l)
	err := l.run(context.Background(), p.cfg.Load.Arrivals())
	stop()
	if err == nil {
		err = errors.Join(writeShots(os.NewFile(shotsFD, "shots"), l.shots), p.journal.Flush())
	}
	if err != nil {
		p.say(message{Type: msgFailed, Text: err.Error()})
		os.Exit(1)
	}
	p.say(message{Type: msgLoaded})
}

// tellCounts tells the parent now and then how the load stands.
func (p *process) tellCounts(l *load) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				sent, failed := l.count()
				p.say(message{Type: msgCount, Sent: sent, Failed: failed})
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

func (p *process) fire(ctx context.Context, s *Shot) {
	ctx, cancel := context.WithDeadline(ctx, time.Now().Add(p.cfg.Timeout))
	defer cancel()
	client := p.clients[s.Client]
	node, err := client.Do(ctx, s.Route, s.ID)
	s.Process, s.Node, s.OK = p.cfg.Process, node, err == nil
	if err != nil {
		s.Err, s.Ambiguous = err.Error(), client.Ambiguous(err)
	}
}

// writeShots writes a line of JSON a shot.
func writeShots(w io.Writer, shots []Shot) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for i := range shots {
		if err := enc.Encode(&shots[i]); err != nil {
			return err
		}
	}
	return b.Flush()
}

func parseShots(r io.Reader) (shots []Shot, err error) {
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		var s Shot
		if err := dec.Decode(&s); err != nil {
			if errors.Is(err, io.EOF) {
				return shots, nil
			}
			return shots, fmt.Errorf("shots: %w", err)
		}
		shots = append(shots, s)
	}
}

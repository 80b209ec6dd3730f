package stacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/harness"
)

// plain makes single attempts over net/http, for stacks that bring no client
// of their own and wrap a function. It writes them to the journal.
type plain struct {
	cfg    harness.ClientConfig
	client *http.Client
}

func newPlain(cfg harness.ClientConfig) *plain {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConnsPerHost = 64 // as httpwrap's own; net/http's two would dial all the time
	return &plain{cfg, &http.Client{Transport: t}}
}

// statusError is an answer that is no success.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// attempt makes one attempt and returns the ID of the node that answered.
func (p *plain) attempt(ctx context.Context, route harness.Route, id string, number int, node harness.Node) (who string, err error) {
	err = p.watch(route, id, number, node, func() error {
		req, err := harness.NewRequest(ctx, "http://"+node.Addr, route, id)
		if err != nil {
			return err
		}
		req.Header.Set(harness.AttemptHeader, strconv.Itoa(number))
		who, err = answer(p.client.Do(req))
		return err
	})
	return who, err
}

// watch makes one attempt and writes it to the journal.
func (p *plain) watch(route harness.Route, id string, number int, node harness.Node, attempt func() error) error {
	e := harness.Entry{Kind: harness.TriedNode, Route: route, ID: id, Attempt: number, Node: node.ID, Start: time.Now()}
	err := attempt()
	e.End = time.Now()
	if err != nil {
		e.Detail, e.NotSent = err.Error(), notSent(err)
	}
	p.cfg.Journal.Add(e)
	return err
}

// answer reads a response: the ID of the node, or why there is none.
func answer(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = statusError(resp.StatusCode)
	}
	return string(body), err
}

// changed writes to the journal that a node's breaker has opened or closed.
func (p *plain) changed(node string, opened, closed bool) {
	e := harness.Entry{Node: node, End: time.Now()}
	switch {
	case opened:
		e.Kind = harness.Ejected
	case closed:
		e.Kind = harness.Readmitted
	default:
		return
	}
	p.cfg.Journal.Add(e)
}

// notSent reports whether no connection was obtained.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// Ambiguous implements harness.Client: such a client does not tell.
func (*plain) Ambiguous(error) bool { return false }

// Close implements harness.Client.
func (p *plain) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

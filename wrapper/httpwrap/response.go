package httpwrap

import (
	"fmt"
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast/resilience"
)

// answer keeps the response: the outcome is known, the body is still to come.
func (a *attempt) answer(resp *http.Response, call *resilience.Call) error {
	x := a.x
	if http1 := resp.ProtoMajor == 1; a.pool.http1.Load() != http1 || a.pool.http2.Load() == http1 {
		a.pool.http1.Store(http1)
		a.pool.http2.Store(!http1)
	}
	a.resp = resp
	x.latest = a
	if spent, ok := resp.Header[spentName]; ok {
		call.Charge(a, number(spent))
	}
	upload := x.req.Body != nil && x.req.Body != http.NoBody
	if resp.Body == http.NoBody { // on HTTP/1 only
		a.end()
	} else {
		call.HoldIn(&a.held)
		a.body = body{ReadCloser: resp.Body, a: a, upload: upload && resp.ProtoMajor >= 2}
		resp.Body = &a.body
		if w, ok := a.body.ReadCloser.(io.Writer); ok { // 101 Switching Protocols
			resp.Body = duplex{&a.body, w}
		}
	}
	a.err = x.s.judge(resp, a.status)
	if x.key != "" {
		a.err = a.keyed(call, a.err)
	}
	if a.err != nil {
		a.err = a.final(a.err)
	}
	return a.err
}

// final takes another attempt back where the request's body cannot be sent
// again.
func (a *attempt) final(err error) error {
	r := a.x.replay
	if r == nil {
		return err
	}
	o := resilience.Classify(a.x.req.Context(), err)
	if !o.Again || r.freeze() {
		return err
	}
	o.Again = false
	return resilience.Mark(fmt.Errorf("%w; %w", err, ErrBodyTooLarge), o)
}

// body is a response's: the node is busy with it until it is read or closed,
// and the attempt's context lives as long.
type body struct {
	io.ReadCloser
	a      *attempt
	upload bool // the request's body may still be on its way when this one ends
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		if b.a.held.Release(); !b.upload {
			b.a.end()
		}
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.a.end()
	return err
}

// duplex is the body of a connection that was handed over.
type duplex struct {
	*body
	io.Writer
}

package microwrap

import (
	"context"
	"errors"
	"strings"

	"go-micro.dev/v5/client"
	"go-micro.dev/v5/metadata"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/internal/keys"
)

// KeyName is the metadata that has a call's idempotency key, as it was given.
const KeyName = "Idempotency-Key"

// ErrBadKey is matched by the error of a call whose idempotency key cannot be
// sent.
var ErrBadKey = errors.New("microwrap: idempotency key: want printable ASCII, at most 255 characters")

// WithHint says what the caller knows of the calls that are made with the
// returned context; it goes before what the settings and the server say. Use
// it for one call, or for calls of one kind, and with a Key for one call only.
//
// An empty Method, and Idempotency and Default where they are Unspecified,
// leave it to the request, the settings and the registry.
func WithHint(ctx context.Context, hint resilience.Hint) context.Context {
	return context.WithValue(ctx, hintKey{}, hint)
}

type hintKey struct{}

// hint puts together what is known of a call, and the metadata that all its
// attempts have.
func (c *Client) hint(ctx context.Context, s *service, req client.Request) (resilience.Hint, metadata.Metadata, error) {
	h, _ := ctx.Value(hintKey{}).(resilience.Hint)
	if h.Method == "" {
		if h.Method = req.Endpoint(); c.cfg.Method != nil {
			h.Method = c.cfg.Method(req)
		}
	}
	if s.source != nil {
		h.Default = h.Default.Or(s.source.idempotency(req.Endpoint()))
	}
	md, _ := metadata.FromContext(ctx) // a copy
	if md == nil {
		md = make(metadata.Metadata)
	}
	if h.Key == "" && !inherited(md) {
		h.Key = md[KeyName]
	}
	for _, name := range foreign {
		delete(md, name)
	}
	switch {
	case h.Key != "":
		h.Idempotency = h.Idempotency.Or(retry.Keyed)
	case c.cfg.AssumeServerDeduplicates && s.unknown(h):
		h.Key = keys.New()
		h.Default = retry.Keyed
	}
	if h.Key == "" {
		return h, md, nil
	}
	if len(h.Key) > 255 || strings.ContainsFunc(h.Key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return h, md, ErrBadKey
	}
	md[KeyName] = h.Key
	return h, md, nil
}

// unknown reports whether nobody has said whether the call may be repeated.
func (s *service) unknown(h resilience.Hint) bool {
	known := h.Idempotency.Or(s.client.Settings().Methods[h.Method].Idempotency).Or(h.Default)
	return known == retry.Unspecified || known == retry.Keyed
}

// inherited reports whether the metadata are those of a request that is being
// served: go-micro's server adds where it came from.
func inherited(md metadata.Metadata) bool {
	_, local := md["Local"]
	_, remote := md["Remote"]
	return local && remote
}

package httpwrap

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/retry"
	"github.com/holdfast-go/holdfast/wrapper/internal/keys"
)

// ErrBadKey is matched by the error of a request whose hint has a Key that
// cannot be sent.
var ErrBadKey = errors.New("idempotency key: want printable ASCII, at most 255 characters")

// net/http takes a request with one of these headers for repeatable, and
// replays it by itself on a lost connection: an attempt that nobody counts.
// Under the lower-case map key the header is sent all the same, and net/http
// does not find it.
const (
	keyName       = "Idempotency-Key"
	keyNameSent   = "idempotency-key"
	otherName     = "X-Idempotency-Key"
	otherNameSent = "x-idempotency-key"
)

var keyNames = [...]struct{ given, sent string }{
	{keyName, keyNameSent}, {otherName, otherNameSent}, {keyNameSent, keyNameSent}, {otherNameSent, otherNameSent},
}

// key settles the idempotency key: the hint's, or the request's, or a new one
// where Config.AssumeServerDeduplicates says so. It completes the hint and
// returns the header to send, which is the request's own where nothing
// changes. With a key in the request, the request is Keyed: whoever sends one
// asserts that the server deduplicates by it.
func (s *service) key(req *http.Request, hint *resilience.Hint) (http.Header, error) {
	h := req.Header
	if hint.Key != "" {
		resuming := resumed(req.Context()) != nil
		if resuming && has(h, hint.Key) {
			hint.Key = "" // as it is in the request
			return s.key(req, hint)
		}
		value, err := quote(hint.Key)
		if resuming && err == nil {
			value = hint.Key // as it was sent
		}
		if err != nil {
			return nil, err
		}
		hint.Key = value
		hint.Idempotency = hint.Idempotency.Or(retry.Keyed)
		h = maps.Clone(h)
		delete(h, keyName)
		delete(h, otherName)
		delete(h, otherNameSent)
		h[keyNameSent] = []string{value}
		return h, nil
	}
	if byProtocol(req.Method) == retry.Safe && hint.Idempotency != retry.Keyed {
		return h, nil // net/http replays it with or without a key
	}
	found := false
	for _, name := range keyNames {
		values, ok := h[name.given]
		if !ok {
			continue
		}
		if name.given != name.sent {
			h = maps.Clone(h)
			delete(h, name.given)
			if len(values) > 0 {
				h[name.sent] = values
			}
		}
		if found = true; len(values) > 0 && hint.Key == "" {
			hint.Key = values[0]
		}
	}
	switch {
	case hint.Key != "":
		hint.Idempotency = hint.Idempotency.Or(retry.Keyed)
	case found: // net/http's way to say: idempotent, without a key
		hint.Idempotency = hint.Idempotency.Or(retry.Idempotent)
	case s.t.cfg.AssumeServerDeduplicates && hint.Default == retry.Unspecified && hint.Idempotency == retry.Unspecified:
		hint.Key = `"` + keys.New() + `"` // as an sf-string
		hint.Default = retry.Keyed        // the method's setting goes before it
		h = maps.Clone(h)
		h[keyNameSent] = []string{hint.Key}
	}
	return h, nil
}

// quote makes an sf-string (RFC 8941 §3.3.3) of a key, as
// draft-ietf-httpapi-idempotency-key-header-07 §2.1 wants it.
func quote(key string) (string, error) {
	if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", ErrBadKey
	}
	if len(key) > 1 && key[0] == '"' && key[len(key)-1] == '"' {
		return key, nil
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`, nil
}

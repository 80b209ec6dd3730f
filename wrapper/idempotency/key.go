package idempotency

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
)

// The header fields.
const (
	HeaderKey     = "Idempotency-Key"     // request: the key
	HeaderStatus  = "Idempotency-Status"  // response: one of the words below; none where the request was run and its answer kept
	HeaderExpires = "Idempotency-Expires" // response: how many seconds from the request on the key is remembered
)

// The words of the header Idempotency-Status.
const (
	Replayed    = "replayed"     // the answer of an earlier request with the key
	InProgress  = "in-progress"  // 409: an earlier request is still running, or about to be settled; ask again
	Unknown     = "unknown"      // 500: an earlier request was run, and nobody knows how it ended
	NotKept     = "not-kept"     // 409: an earlier request was carried out, and its answer is not there any more
	NotExecuted = "not-executed" // nothing was carried out, and the key is as it was
)

var (
	errNoKey      = errors.New("want an Idempotency-Key, got none")
	errManyKeys   = errors.New("want one Idempotency-Key, got several")
	errUnquoted   = errors.New("want a string in double quotes (RFC 8941, section 3.3.3)")
	errKeyEmpty   = errors.New("want 1 to 255 characters, got none")
	errKeyTooLong = errors.New("want 1 to 255 characters, got more")
	errKeyBinary  = errors.New("want printable ASCII, with only \\ and \" behind a \\")
	errKeyTrailer = errors.New("want nothing behind the closing quote")
)

const maxKey = 255

// keyOf returns the request's key, or errNoKey, or what is wrong with it.
func (g *Guard) keyOf(h http.Header) (string, error) {
	values := h[HeaderKey]
	switch {
	case len(values) == 0:
		return "", errNoKey
	case len(values) > 1:
		return "", errManyKeys // draft §2.1
	}
	return parseKey(values[0], g.cfg.Unquoted)
}

// parseKey reads an sf-string as RFC 8941 §4.2.5 says; parameters, of which the
// draft defines none, are not accepted. With unquoted, a field that does not
// begin with a quote is the key itself.
func parseKey(field string, unquoted bool) (string, error) {
	field = strings.Trim(field, " ")
	if field == "" {
		return "", errKeyEmpty
	}
	if len(field) > 2*maxKey+2 {
		return "", errKeyTooLong
	}
	if field[0] != '"' {
		if !unquoted {
			return "", errUnquoted
		}
		return checked(field)
	}
	rest := field[1:]
	end := strings.IndexAny(rest, `"\`)
	if end >= 0 && rest[end] == '"' { // nearly always
		if end != len(rest)-1 {
			return "", errKeyTrailer
		}
		return checked(rest[:end])
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '"':
			if i != len(rest)-1 {
				return "", errKeyTrailer
			}
			return checked(b.String())
		case '\\':
			i++
			if i == len(rest) || rest[i] != '"' && rest[i] != '\\' {
				return "", errKeyBinary
			}
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", errUnquoted
}

// checked returns key if it is one: bytes 0x20 to 0x7e.
func checked(key string) (string, error) {
	switch {
	case key == "":
		return "", errKeyEmpty
	case len(key) > maxKey:
		return "", errKeyTooLong
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return "", errKeyBinary
		}
	}
	return key, nil
}

// scoped is the key that a store knows: of fixed size, whatever clients send,
// and each part apart from the next. The route is the pattern that matched, if
// the Guard is below a ServeMux, or else the path.
func scoped(tenant string, r *http.Request, key string) Key {
	route := r.Pattern
	if route == "" {
		route = r.URL.Path
	}
	var room [512]byte
	b := room[:0]
	for _, part := range [...]string{tenant, r.Method, route, key} {
		b = appendString(b, part)
	}
	return sha256.Sum256(b)
}

package board

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// Authenticator says who asks, for the log. An error, or nobody, is refused
// with 401; its text is not sent. It must be safe for concurrent use.
type Authenticator func(*http.Request) (who string, err error)

var errNobody = errors.New("not authenticated")

// BearerToken lets who has the token in, by "Authorization: Bearer token", and
// calls them who. It compares in constant time. An empty token lets nobody in.
func BearerToken(who, token string) Authenticator {
	want := sha256.Sum256([]byte(token)) // of one length, whatever is sent
	return func(r *http.Request) (string, error) {
		scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(sent))
		same := subtle.ConstantTimeCompare(got[:], want[:]) == 1
		if !same || token == "" || !strings.EqualFold(scheme, "Bearer") {
			return "", errNobody
		}
		return who, nil
	}
}

// admit asks who it is; a nil Authenticator lets everybody in, as nobody in
// particular.
func (a Authenticator) admit(w http.ResponseWriter, r *http.Request) (who string, ok bool) {
	if a == nil {
		return "", true
	}
	who, err := a(r)
	if err == nil && who != "" {
		return who, true
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	http.Error(w, "not authenticated", http.StatusUnauthorized)
	return "", false
}

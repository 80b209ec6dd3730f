package httpwrap

import (
	"bufio"
	"maps"
	"net"
	"net/http"
	"strconv"

	"github.com/holdfast-go/holdfast/resilience"
)

// What client and server tell each other about retries, as decimal numbers.
// The names are canonical map keys.
const (
	attemptName = "X-Retry-Attempt" // which attempt a request is, from the second on
	creditName  = "X-Retry-Credit"  // how many retries its server may make on the caller's account
	spentName   = "X-Retry-Spent"   // how many were made, in all layers underneath
)

// told returns header with what the server has to know of the call's retries.
// A credit that stands there already is not ours to give: a proxy has copied
// it. The header of the attempt before may still be being sent: it is not
// touched.
func (a *attempt) told(header http.Header, call *resilience.Call) http.Header {
	credit, limited := call.Credit(a)
	if _, copied := header[creditName]; call.Attempt < 2 && !limited && !copied {
		return header
	}
	header = maps.Clone(header)
	if call.Attempt > 1 {
		header[attemptName] = []string{strconv.Itoa(call.Attempt)}
	}
	if delete(header, creditName); limited {
		header[creditName] = []string{strconv.Itoa(credit)}
	}
	return header
}

// number reads one, 0 where there is none. Nobody has to do with more digits.
func number(values []string) int {
	if len(values) != 1 || len(values[0]) > 6 {
		return 0
	}
	n, err := strconv.ParseUint(values[0], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// Serve is the server's half against retries that multiply from layer to
// layer: calls that next makes with the request's context, through any
// holdfast client, are retried on the account of the request's caller (see
// [resilience.WithUpstream]), and the answer's header tells what they have
// spent. What is spent after the header is written is not told.
//
// Only callers for which trusted is true are believed, and told; nil trusts
// nobody. It should be true for services of one's own and false for whoever
// comes from outside.
func Serve(next http.Handler, trusted func(*http.Request) bool) http.Handler {
	if trusted == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !trusted(r) {
			next.ServeHTTP(w, r)
			return
		}
		up := resilience.Upstream{Attempt: number(r.Header[attemptName])}
		if credit, ok := r.Header[creditName]; ok {
			up.Limited, up.Credit = true, number(credit)
		}
		ctx, account := resilience.WithUpstream(r.Context(), up)
		s := &spentWriter{ResponseWriter: w, account: account}
		next.ServeHTTP(s, r.WithContext(ctx))
		s.tell()
	})
}

// spentWriter adds what was spent to the header, just before that is written.
type spentWriter struct {
	http.ResponseWriter
	account *resilience.Account
	told    bool
}

func (w *spentWriter) tell() {
	if w.told {
		return
	}
	w.told = true
	if n := w.account.Retries(); n > 0 {
		w.Header()[spentName] = []string{strconv.Itoa(n)}
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *spentWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.tell()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *spentWriter) Write(p []byte) (int, error) {
	w.tell()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher, for handlers that ask for it by its type.
func (w *spentWriter) Flush() {
	w.tell()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *spentWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (w *spentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package idempotency

import (
	"encoding/json"
	"net/http"
	"time"
)

// problem is an answer of ours, as RFC 9457 has it.
type problem struct {
	Type     string `json:"type,omitempty"` // Config.Help
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Answered int    `json:"answered,omitempty"` // the status of an answer that is not kept

	word string
}

var (
	problemKey = problem{
		Title: "The Idempotency-Key cannot be used", Status: http.StatusBadRequest, word: NotExecuted,
	}
	problemBody = problem{
		Title: "The request's body ended early", Status: http.StatusBadRequest, word: NotExecuted,
	}
	problemTooLarge = problem{
		Title: "The request's body is too large for a request with an Idempotency-Key", Status: http.StatusRequestEntityTooLarge, word: NotExecuted,
	}
	problemMismatch = problem{
		Title: "The Idempotency-Key was used for another request", Status: http.StatusUnprocessableEntity, word: NotExecuted,
		Detail: "A key names one request. Send a new one with a new key.",
	}
	problemRunning = problem{
		Title: "A request with this Idempotency-Key is still running", Status: http.StatusConflict, word: InProgress,
		Detail: "Ask again with the same key and payload.",
	}
	problemUnknown = problem{
		Title: "How the request with this Idempotency-Key ended is not known", Status: http.StatusInternalServerError, word: Unknown,
		Detail: "It may have been carried out, wholly, in part or not at all. It is not carried out again.",
	}
	problemNotKept = problem{
		Title: "The request was carried out, and its answer was not kept", Status: http.StatusConflict, word: NotKept,
		Detail: "The answer was too large to be kept. Its status was the one in answered.",
	}
	problemStore = problem{
		Title: "Idempotency keys cannot be looked up now", Status: http.StatusServiceUnavailable, word: NotExecuted,
		Detail: "Nothing was carried out. Ask again later with the same key and payload.",
	}
	problemFull = problem{
		Title: "There is no room for another Idempotency-Key now", Status: http.StatusServiceUnavailable, word: NotExecuted,
		Detail: "Nothing was carried out. Ask again later with the same key and payload.",
	}
)

// of adds the status of the answer that was not kept.
func (p problem) of(status int) problem {
	p.Answered = status
	return p
}

// refuse answers a request that was not carried out.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, p problem, detail string, err error) {
	if detail != "" {
		p.Detail = detail
	}
	g.write(w, p)
	g.tell(r, p.word, err)
}

// answer answers a request whose key is remembered.
func (g *Guard) answer(w http.ResponseWriter, r *http.Request, p problem, expires time.Duration, err error) {
	w.Header()[HeaderExpires] = seconds(expires)
	g.write(w, p)
	g.tell(r, p.word, err)
}

func (g *Guard) write(w http.ResponseWriter, p problem) {
	h := w.Header()
	h[HeaderStatus] = []string{p.word}
	h["Content-Type"] = []string{"application/problem+json"}
	h["Cache-Control"] = []string{"no-store"}
	if g.cfg.Help != "" {
		p.Type = g.cfg.Help
		h.Add("Link", "<"+g.cfg.Help+`>; rel="help"; type="text/html"`)
	}
	w.WriteHeader(p.Status)
	body, _ := json.Marshal(p) // it has strings and numbers only
	_, _ = w.Write(append(body, '\n'))
}

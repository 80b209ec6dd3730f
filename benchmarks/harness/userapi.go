package harness

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// answer is the body of the user API's and the gateway's answers.
type answer struct {
	Node      string `json:"node,omitempty"`
	Error     string `json:"error,omitempty"`
	Ambiguous bool   `json:"ambiguous,omitempty"` // it may have been carried out
}

func reply(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the client has gone
}

// userAPI serves the routes by calling hello through the client under test.
func userAPI(client Client, timeout time.Duration) http.Handler {
	mux := http.NewServeMux()
	for _, route := range Routes {
		mux.HandleFunc(route.String(), func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			node, err := client.Do(ctx, route, r.Header.Get(RequestID))
			if err != nil {
				reply(w, http.StatusBadGateway, answer{Error: err.Error(), Ambiguous: client.Ambiguous(err)})
				return
			}
			reply(w, http.StatusOK, answer{Node: node})
		})
	}
	return mux
}

// gateway passes the routes on to the user API, of which there is one: no
// stack is between them, so nothing here hides or adds a failure.
func gateway(upstream string) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1000
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: upstream}) },
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			reply(w, http.StatusBadGateway, answer{Error: "gateway: " + err.Error()})
		},
	}
	mux := http.NewServeMux()
	for _, route := range Routes {
		mux.Handle(route.String(), proxy)
	}
	return mux
}

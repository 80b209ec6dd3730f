// Package httpwrap puts package resilience under an http.Client, as an
// http.RoundTripper: requests to a configured host go to the nodes of that
// service, are tried again where that is safe, and leave out the nodes that
// fail. Requests to all other hosts pass through untouched.
//
//	transport, err := httpwrap.NewService("users", "10.0.0.1:8080", "10.0.0.2:8080")
//	client := &http.Client{Transport: transport}
//	resp, err := client.Get("http://users/user/42")
//
// # What is tried again
//
// GET, HEAD, OPTIONS and TRACE are safe, PUT and DELETE idempotent; others are
// repeated only if it is certain that they were never carried out, or if the
// request says that its server deduplicates, by an Idempotency-Key. What the
// caller knows goes before all that: see [WithHint]. Certain means: no
// connection was obtained, the server refused the stream or said 421, 425, 429
// or 408 (and 503, where Settings.TrustRefusals says so).
//
// # Keys
//
// A call has one key, the same on every attempt: the request's Idempotency-Key,
// or a hint's, or a new one with Config.AssumeServerDeduplicates. Of a server
// that says what it knows of a key (package wrapper/idempotency does) more is
// understood: a 409 marked as in progress is asked again as long as there is
// time; an answer to a key takes away the doubt that lost attempts have left; what
// was certainly not executed is tried again whatever its status; and no attempt
// begins when the key is about to be forgotten. A call that stays in doubt ends in an
// [*Error], with its key, and can be resumed: see [Resume].
//
// # What comes back
//
// An outcome is known at the headers. Retries that are exhausted and end in a
// response return that response and no error, as net/http does; [Result] tells
// what is known about it. Other failures are an [*Error]. From the second
// attempt on, requests carry X-Retry-Attempt with the attempt's number, 2 for
// the second.
//
// # Layers
//
// Three layers that make three attempts each make 27 at the bottom, when that
// is down. [Serve] keeps a server's own calls within the retry budget of whoever
// called it: the caller says what is left of its budget (X-Retry-Credit, sent
// when that is less than half), and is told what was spent (X-Retry-Spent).
//
// Timeouts of the settings bound the time to the headers. The body is bounded
// by the request's context alone.
//
// # Connections
//
// Each node has its own connections: they are dropped when the node is ejected
// or leaves, and a retry that goes to a node again takes a new one. The Host
// header and the TLS server name stay those of the URL.
package httpwrap

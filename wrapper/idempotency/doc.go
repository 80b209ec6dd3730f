// Package idempotency lets a server carry out each request once, however often
// it arrives: an http.Handler around yours that follows
// draft-ietf-httpapi-idempotency-key-header-07.
//
//	guard, err := idempotency.New(idempotency.Config{})
//	mux.Handle("POST /orders", guard.Wrap(orders))
//
// # What a repeat gets
//
// A request with an Idempotency-Key is known by who sends it (Config.Tenant),
// its route (method and pattern, or path) and its key. The first one with a key runs; its
// status, headers and body are kept, and only then sent. What else arrives
// under the same key is not run:
//
//	the first has ended                 its answer, header for header       replayed
//	it is still running                 409                                 in-progress
//	nobody knows how it ended           500                                 unknown
//	it ended, its answer is not kept    409                                 not-kept
//	the payload is another one          422                                 not-executed
//	the store cannot be reached, or is full   503                           not-executed
//	the key is missing or none          400                                 not-executed
//	its body is over the cap            413                                 not-executed
//
// The last column stands in the response's header Idempotency-Status, so that
// a client can tell our 409 from the service's own; package httpwrap acts on
// it. Idempotency-Expires says for how many seconds the key will be remembered.
//
// # What happens when
//
// The key is reserved, atomically, for one run that owns it for Config.Lease; then the handler
// runs; then its answer is committed; then it is sent. A server that dies
//
//   - before the reservation has done nothing: the next request with the key runs.
//   - between the reservation and the commit has done something, everything or
//     nothing. A repeat is told in-progress until the lease ends, and unknown from
//     then on: it is not run a second time, unless Config.Rerun says that it may be.
//   - after the commit has lost nothing: a repeat gets the answer.
//
// A handler whose effects are all in one database transaction closes the gap in
// the middle: with a [TxStore] in that database, [Execution.Commit] commits
// effect, key and answer together, and Rerun may be true.
//
// A handler that panics ends its lease at once. One that outlives its lease may still commit as long as nobody has
// taken the key over; once somebody has, its commit fails ([ErrFenced]).
// A client that leaves does not end the handler, for it will be back to ask: the
// handler's context is not cancelled before the lease ends.
//
// # What is kept
//
// Every answer but those that say by themselves that nothing was done: 408,
// 421, 425, 429, and whatever a handler calls [Execution.Release] for. They free
// the key.
//
// An answer is held back until it is kept, so Flush does nothing and Hijack is
// not there. One that grows over Config.MaxAnswer is sent as it comes from there
// on, and is not kept.
//
// Requests of other protocols are carried out by [Guard.Do]; package grpcwrap
// does so with unary calls.
package idempotency

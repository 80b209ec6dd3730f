// Package microwrap puts package resilience under a go-micro client, as one of
// its wrappers: calls go to the nodes that the client's registry lists, are
// tried again where that is safe, and leave out the nodes that fail.
//
//	service := micro.NewService(
//		micro.WrapClient(microwrap.New(microwrap.Config{})),
//	)
//
// The client's own retries are off in calls that the wrapper makes; of its
// options it takes the transport, the registry, the codecs, the call wrappers,
// RequestTimeout (where the context has no deadline) and DialTimeout. A call's
// own addresses (client.WithAddress) are nodes like any others, for up to 64
// such lists. Streams, publications, and calls with select options, a MICRO_PROXY
// or one list more are the client's as they were.
//
// # What is tried again
//
// go-micro says of no call whether it may be repeated. What the caller says
// ([WithHint]) goes first, then the settings of the method
// (Settings.Methods["Hello.Greet"].Idempotency), then what the server has
// registered with the endpoint, as metadata under "idempotency":
//
//	server.EndpointMetadata("Hello.Greet", map[string]string{"idempotency": "safe"})
//
// Without any of them a call is repeated only where it is certain that it was
// never sent. The evidence is taken at the transport, for a client's failure
// to connect and one that a server passes on from behind it have the same
// text: what was never written was not sent; from then on it may have been
// carried out, unless an answer tells.
//
// # Keys
//
// A call has one key, the same on every attempt, in the metadata under
// Idempotency-Key: the hint's, or the context's metadata's, or a new one with
// Config.AssumeServerDeduplicates. A handler's context has the metadata of the
// request that is being served, and go-micro passes it on: its key is that
// request's, and is not taken for the key of calls made inside. A call that
// fails ends in an [*Error], with its key and its attempts; to resume it, make
// it again under WithHint(ctx, resilience.Keyed(method, key)).
//
// # Layers
//
// From the second attempt on, requests carry X-Retry-Attempt with the attempt's
// number. [Serve] keeps a server's own calls within the retry budget of whoever
// called it: the caller says what is left of its budget (X-Retry-Credit, sent
// when that is less than half), and is told what was spent (X-Retry-Spent).
//
// # Piece by piece
//
// Who keeps go-micro's own loop can replace parts of it: see [NewTransport],
// [NewSelector] and [NewRetries]. Which promise each can keep:
//
//	                                        New   Selector  Retries  both
//	never repeats what may have acted,       yes     -        yes*    yes*
//	  unless it is declared repeatable
//	a retry goes to a node not tried yet     yes    yes        -      yes
//	a node that fails is left out            yes    yes*       -      yes*
//	a silent node is left out early          yes     -         -       -
//	a timeout never makes a failure          yes     -         -       -
//	  by itself
//	retries are a share of the traffic       yes     -        floor   yes
//	pauses under full jitter, none past      yes     -        yes     yes
//	  the deadline
//	a pause ends when the caller leaves      yes     -         -       -
//	an abandoned attempt never writes the    yes     -         -       -
//	  caller's response
//	one key on every attempt                 yes     -         -       -
//	the error says what every attempt        yes     -         -       -
//	  came to
//
// With * it needs the evidence of [NewTransport]; without it every failure may
// have acted, but for the answers that say no.
package microwrap

// Package grpcwrap puts package resilience under a grpc.ClientConn: each call
// goes to one of the nodes that the target resolves to, is tried again on
// another where that is safe, and leaves out the nodes that fail.
//
//	conn, err := grpc.NewClient("dns:///users:50051", append(grpcwrap.DialOptions(grpcwrap.Config{}), creds)...)
//
// # How
//
// The retry loop is an interceptor; the node that it has chosen travels in the
// context to a balancer, whose picker hands out that node's connection. All
// nodes are connected, as by round_robin. One that is not has no calls as long
// as another is; a call that meets it all the same is at once
// tried elsewhere, as not sent. Only when no node was ever connected do calls
// wait for a connection. A node that is ejected gets a new one, and so does one
// that a call comes to again after it has had no answer there; what is under
// way on the old one goes on.
//
// What a resolver's service config says of balancers, retries and timeouts is
// not used (so xds:/// is not for this package): retries are off in gRPC and
// on here. WaitForReady makes no difference: attempts that meet no connection
// are repeated as far as the settings go.
//
// Interceptors that are chained after DialOptions run once an attempt, those
// before, and grpc.WithUnaryInterceptor's, once a call. Connections are not
// pinged, which many servers forbid: a node that has vanished is noticed by its silence.
//
// # What is tried again
//
// Methods whose protobuf idempotency_level is NO_SIDE_EFFECTS are safe, those
// with IDEMPOTENT are that, if their descriptor is linked in, as generated
// code sees to. For others, Settings.Methods or [WithHint] can say so, or the
// call can carry an idempotency-key in its metadata, by which the server
// deduplicates. What is none of these is repeated only if it is certain that it
// was never carried out:
//
//	no connection, or the stream was never written              not sent
//	REFUSED_STREAM, or above the last stream of a GOAWAY        not sent
//	RESOURCE_EXHAUSTED                                          refused
//	UNAVAILABLE, with grpc-retry-pushback-ms or TrustRefusals   refused
//	INVALID_ARGUMENT, NOT_FOUND, ABORTED, UNIMPLEMENTED, …      the service's answer
//	all else, what is lost included                             ambiguous
//
// gRPC has a retry of its own that cannot be turned off: a stream that was
// certainly not processed it opens again, unseen, on any connection. By that
// it tells us. Its second request for a connection within an attempt is
// refused, and the attempt counts as not sent: the next one is ours, on
// another node, within the budget, and in the call's history. So gRPC never
// sends an attempt twice.
//
// A negative or unreadable pushback means no further attempt. From the second
// attempt on, calls carry grpc-previous-rpc-attempts (gRFC A6), and
// x-retry-credit while the retry budget is less than half full: with
// [ServerOptions] on the servers, retries of several layers do not multiply.
//
// # Streams
//
// A stream is tried again until its first answer (headers, or its end), if all
// that was sent fits Config.StreamBuffer: it is kept until then, so messages
// must not be changed after SendMsg, which gRPC asks for anyway. From then on
// it belongs to its node, which is busy with it to its end; what happens to
// it later is the caller's to see, and says nothing about the node. Attempt
// timeouts bound the time to the first answer of streams whose client sends
// one message; where it sends many, they never cut what was sent.
//
// # Errors
//
// The service's own answer at the first attempt is returned as it is. Else a
// call ends in an [*Error], which tells of every attempt; status.Code is the
// last one's. [Resume] goes on with a call whose outcome is in doubt.
package grpcwrap

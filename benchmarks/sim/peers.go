package sim

// Peers are the clients of other libraries that a run can be made with, with
// the defaults of their documentation: a breaker per node of the library,
// nodes in turn, and around that what every such library leaves to its user,
// the same for all: 3 attempts, whatever the failure was, with the pauses of
// backoff/v4 from 25 ms, and 250 ms an attempt. "bare" is one attempt and
// nothing else, "backoff" the retries without a breaker.
func Peers() []string {
	return []string{"bare", "backoff", "gobreaker", "hystrix", "failsafe", "circuit", "go-resiliency"}
}

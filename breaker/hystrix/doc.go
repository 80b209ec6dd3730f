// Package hystrix is for those who have afex/hystrix-go in production. There
// are three ways to bring what they have:
//
//   - Change the import line, and nothing else: [Do], [DoC], [Go], [GoC],
//     [Configure] and their company are here under their old names. Each command
//     runs on this project's own pieces.
//   - Take the numbers: [ClientSettings] makes the settings of a
//     resilience.Client, [BreakerConfig] those of a breaker, out of a
//     [CommandConfig]. This is where to end.
//   - Keep the library: [Engine] puts its circuits behind breaker.Breaker.
//
// # The same decisions
//
// A breaker by [BreakerConfig] admits and rejects what the library's circuit
// of the same CommandConfig would, call by call: a test holds the two against
// each other over random calls, results and pauses. It differs only where the
// library does harm, each with its test:
//
//   - old success: in the library the success of a call that was admitted
//     before the circuit opened closes it, within the sleep window too; if it
//     comes after the circuit closed, it excuses new failures. Here it is old
//     news.
//   - judged when asked: the library looks at its numbers when the next call
//     comes, so a success may open the circuit, and so may a pause in which
//     old successes are forgotten; or a pause keeps it closed, and the sleep
//     window begins with the call that ends it. Here a failure opens, when it
//     is reported.
//   - late errors: the library forgets requests after ten seconds, but errors
//     only with the next error, up to a second later; so the error rate can be
//     more than 100 %. Here both have one window.
//   - cancelled: the library counts a cancelled call, or one whose own context
//     ran out, as a healthy request, and a probe that is cancelled costs another
//     sleep window. Here it says nothing, and the next call is the probe; and
//     what ran out of a time of its own has failed.
//   - turned away: in the library a call that finds the pool full counts as an
//     error of the service, so that a burst of calls opens the circuit; and a
//     short circuit whose fallback is slow counts against the circuit that has
//     closed meanwhile. Here what was not sent says nothing.
//   - probe's start: the library counts the sleep window from the start of the
//     last probe, so that calls which take longer than that overlap and give a
//     dead service no rest. Here there is one probe at a time, and the window
//     begins when it has failed.
//   - probe counts: in the library the success that closes the circuit is the
//     first of the requests that may open it. Here it starts afresh.
//   - last nanosecond: the library rejects at the very instant at which the
//     sleep window ends. Here the window is over then.
//
// # What else is different in a command
//
//   - A function that timed out keeps its place among MaxConcurrentRequests
//     until it ends. In the library it gives it back, and any number may run.
//     The context of DoC and GoC tells it to end.
//   - MaxConcurrentRequests can be changed while the command is in use.
//   - A panic in the function comes out of Do and DoC; Go and GoC send it as a
//     [*PanicError]. In the library it ends the process.
//   - An error of a fallback matches, by errors.Is and errors.As, what the
//     fallback returned and what it was for. Its text is the library's.
//   - There are at most [MaxCommands] names, and no goroutine but for the
//     functions that run. [Flush] gives everything back.
package hystrix

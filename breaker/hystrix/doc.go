// Package hystrix is for those who have afex/hystrix-go in production. There
// are three ways to bring what they have:
//
//   - Change the import line, and nothing else: [Do], [DoC], [Go], [GoC],
//     [Configure] and their company are here under their old names. Each command
//     runs on this project's own pieces.
//   - Take the numbers: [ClientSettings] makes the settings of a
//     resilience.Client, [Native] those of a breaker, out of a [CommandConfig].
//     This is where to end. [Compare] goes one step further.
//   - Keep the library: [Engine] puts its circuits behind breaker.Breaker.
//
// # The same decisions
//
// A breaker by [Native] admits and rejects what the library's circuit of the
// same CommandConfig would, call by call: a test holds the two against each
// other over random calls, results and pauses. It differs only where the
// library does harm, in ways that have names ([Difference]) and tests.
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

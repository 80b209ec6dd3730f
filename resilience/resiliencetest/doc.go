// Package resiliencetest tests code that calls through package resilience: a
// [Bench] has nodes that do what a script says, and virtual time, in which
// the client itself runs unchanged. An hour of outage takes milliseconds, and
// the same seed gives the same run to the last nanosecond.
//
//	bench := resiliencetest.New(1)
//	bench.Node("a", resiliencetest.Steps(resiliencetest.Reply{Outcome: resilience.NotSent}))
//	bench.Node("b", nil) // answers at once
//	client, err := bench.Client(resilience.Config{})
//	…
//	bench.Run(func() {
//		err = client.Do(ctx, resilience.Safe("GET /user"), bench.Op)
//	})
//
// In virtual time exactly one function runs at a time, and time passes only
// while all of them sleep. So what runs inside [Bench.Run] must start
// goroutines by [Bench.Go], pause by [Bench.Sleep], bound contexts by
// [Bench.WithTimeout], and not block otherwise: not on a channel, and not on a
// lock that is held over a Sleep.
package resiliencetest

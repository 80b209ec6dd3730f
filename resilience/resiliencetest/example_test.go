package resiliencetest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/resiliencetest"
)

// One of two instances dies. A read goes to the other one and nobody notices;
// a payment that was in flight is not sent again, and its caller is told that
// nobody knows; the next is known not to have been sent, and goes elsewhere.
func Example() {
	up := resiliencetest.Steps(resiliencetest.Reply{After: 10 * time.Millisecond})
	dead := resiliencetest.Steps(
		resiliencetest.Reply{Outcome: resilience.Ambiguous}, // the connection breaks
		resiliencetest.Reply{Outcome: resilience.Ambiguous}, // and the other one
		resiliencetest.Reply{Outcome: resilience.NotSent},   // then it is refused
	)

	bench := resiliencetest.New(1)
	bench.Node("a", up)
	bench.Node("b", up)
	client, err := bench.Client(resilience.Config{Settings: resilience.Settings{
		Strategy: "round-robin",
		Backoff:  resilience.BackoffSettings{Initial: -1}, // for round numbers below
	}})
	if err != nil {
		fmt.Println(err)
		return
	}

	bench.Run(func() {
		ctx := context.Background()
		read, pay := resilience.Safe("read"), resilience.Unsafe("pay")
		fmt.Println(client.Do(ctx, read, bench.Op))

		bench.Sleep(time.Second)
		bench.Node("b", dead)
		fmt.Println(client.Do(ctx, read, bench.Op))
		err = client.Do(ctx, pay, bench.Op)
		bench.Sleep(time.Second)
		fmt.Println(client.Do(ctx, pay, bench.Op), client.Do(ctx, pay, bench.Op))
	})
	fmt.Println(err)
	fmt.Println(resilience.IsAmbiguous(err), bench.Attempts("a"), bench.Attempts("b"))
	fmt.Print(bench.Log())
	// Output:
	// <nil>
	// <nil>
	// <nil> <nil>
	// pay: may have been carried out: not repeatable after 1 attempt (b ambiguous): node b: ambiguous
	// true 4 3
	//       0s  nodes changed: 2, 2 new, 0 gone
	//     10ms  read: attempt 1 at a: succeeded
	//     10ms  read: succeeded
	//    1.01s  read: attempt 1 at b: ambiguous
	//    1.02s  read: attempt 2 at a: succeeded
	//    1.02s  read: succeeded
	//    1.02s  pay: attempt 1 at b: ambiguous
	//    1.02s  pay: failed, may have been carried out: not repeatable
	//    2.03s  pay: attempt 1 at a: succeeded
	//    2.03s  pay: succeeded
	//    2.03s  pay: attempt 1 at b: not sent
	//    2.04s  pay: attempt 2 at a: succeeded
	//    2.04s  pay: succeeded
}

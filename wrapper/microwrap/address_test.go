package microwrap_test

import (
	"fmt"
	"testing"

	"go-micro.dev/v5/client"
	mselector "go-micro.dev/v5/selector"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// FIELD: go-micro chooses from a list of addresses by the second of the clock,
// so that its retries go to the one that has failed.
func TestGoMicroDefect_AddressList(t *testing.T) {
	t.Parallel()
	dead := free(t)
	live, _ := wire(t, good)
	c := dial(t, new(directory), microwrap.Config{})
	list := client.WithAddress(dead, live, dead)
	for range 20 {
		if err := c.Call(t.Context(), c.NewRequest(service, "Hello.Register", &Request{}), new(Response), list); err != nil {
			t.Fatal(err)
		}
	}
	// Lists are bounded: with many more, calls are go-micro's own.
	for i := range 100 {
		addrs := client.WithAddress(live, fmt.Sprint("127.0.0.1:", i+1))
		_ = c.Call(t.Context(), c.NewRequest(service, "Hello.Register", &Request{}), new(Response), addrs, client.WithRetries(0))
	}
	err := c.Call(t.Context(), c.NewRequest(service, "Hello.Register", &Request{}), new(Response), client.WithAddress(free(t)), client.WithRetries(0))
	if err == nil || resilience.IsAmbiguous(err) {
		t.Error(err)
	}
	if err := c.Call(t.Context(), c.NewRequest(service, "Hello.Register", &Request{}), new(Response), list); err != nil {
		t.Error("a list that is known:", err)
	}
}

// A call that selects by itself is go-micro's own, select options and all.
func TestSelectOptionsPass(t *testing.T) {
	t.Parallel()
	live, _ := wire(t, good)
	asked := 0
	filter := mselector.WithFilter(mselector.FilterVersion("x"))
	c := dial(t, at(live), microwrap.Config{}, client.Selector(counting{lister{at(live)}, &asked}))
	if err := c.Call(t.Context(), c.NewRequest(service, "Hello.Greet", &Request{}), new(Response), client.WithSelectOption(filter)); err != nil || asked != 1 {
		t.Errorf("%v, %d options", err, asked)
	}
}

type counting struct {
	lister
	n *int
}

func (c counting) Select(service string, opts ...mselector.SelectOption) (mselector.Next, error) {
	*c.n += len(opts)
	return c.lister.Select(service, opts...)
}

package dns_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector"
	"github.com/holdfast-go/holdfast/selector/dns"
)

func Example() {
	client, err := resilience.New(resilience.Config{
		Service: "users",
		Nodes: &dns.Source{
			SRV:        "_http._tcp.users.example.com",
			Servers:    []string{"127.0.0.1:1"}, // nobody listens there; leave it out for those of /etc/resolv.conf
			StartEmpty: true,                    // the service may come up after us
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	err = client.Do(context.Background(), resilience.Safe("greet"), func(context.Context, *selector.Node) error { return nil })
	fmt.Println(errors.Is(err, selector.ErrNoNodes))
	// Output: true
}

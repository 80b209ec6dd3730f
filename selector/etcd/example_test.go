package etcd_test

import (
	"fmt"
	"log"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/selector/etcd"
)

func Example() {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"127.0.0.1:1"}, // nobody listens there
		Logger:    zap.NewNop(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	users, err := resilience.New(resilience.Config{
		Service: "users",
		Nodes: &etcd.Source{
			Client:     client,
			Prefix:     "/services/users/",
			StartEmpty: true, // etcd may come up after us
			Timeout:    10e6, // 10 ms, since it does not here; leave it out for 5 s
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = users.Close() }()
	fmt.Println(len(users.Selector().Nodes()), "nodes yet")
	// Output: 0 nodes yet
}

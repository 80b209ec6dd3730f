package selector_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/selector"
)

func Example() {
	s, err := selector.New(selector.Config{Source: selector.Addrs("10.0.0.7:80", "10.0.0.8:80")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close() //nolint:errcheck // the source is static, or only read

	first, _ := s.Pick(selector.Call{Method: "GET /user"})
	tried := first.Node()
	// … the attempt is made, and refused …
	first.Done(selector.Report{Result: breaker.Failure, NotSent: true})

	second, _ := s.Pick(selector.Call{Method: "GET /user", Tried: []*selector.Node{tried}})
	fmt.Println("another node:", second.Node() != tried)
	second.Done(selector.Report{Result: breaker.Success})
	// Output: another node: true
}

func ExampleFile() {
	dir, err := os.MkdirTemp("", "nodes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example
	path := filepath.Join(dir, "nodes.json")
	list := `[
	  {"id": "a", "addr": "10.0.0.7:8080"},
	  {"id": "b", "addr": "10.0.0.8:8080", "weight": 2, "zone": "north"}
	]`
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	s, err := selector.New(selector.Config{Source: selector.File(path)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close() //nolint:errcheck // the source is static, or only read
	for _, status := range s.Nodes() {
		fmt.Println(status.Node.ID, status.Node.Addr, status.Node.Weight)
	}
	// Output:
	// a 10.0.0.7:8080 1
	// b 10.0.0.8:8080 2
}

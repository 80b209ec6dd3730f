package microwrap_test

import (
	"testing"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/wrapper/microwrap"
)

// A call goes to the nodes that the registry lists, and is answered.
func TestCall(t *testing.T) {
	f := start(t, 2)
	c := dial(t, f.reg, microwrap.Config{Default: resilience.Config{Settings: settings()}})
	nodes := map[string]int{}
	for range 100 {
		rsp, err := call(t, c, "Hello.Greet", Request{ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		nodes[rsp.Node]++
		if rsp.Left <= 0 || rsp.Left > 5e9 || rsp.Attempt != "" {
			t.Fatalf("%+v", rsp)
		}
	}
	if nodes["hello-1"] == 0 || nodes["hello-2"] == 0 {
		t.Error(nodes)
	}
}

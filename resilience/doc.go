// Package resilience makes calls to a set of nodes so that their failures do
// not become the caller's, and no side effect is carried out twice because of
// a timeout.
//
// A [Client] is a stack of [Wrapper]s built from [Config]: a retry loop, a
// node selector with a circuit breaker per node, an attempt timeout, and yours
// in between. path.go shows the way of a call, top to bottom. Each piece is
// exported and can be stacked by hand.
package resilience

package stacks

import "github.com/holdfast-go/holdfast/benchmarks/harness"

// HoldfastKeyed is Holdfast whose POSTs carry an idempotency key. The instances
// commit key and effect together, in one store for all of them, so that an
// attempt may follow another to any instance: see [harness.OverHTTP].
type HoldfastKeyed struct{ harness.OverHTTP }

// Name implements harness.Stack.
func (HoldfastKeyed) Name() string { return "holdfast-keyed" }

// Info implements harness.Stack.
func (HoldfastKeyed) Info() harness.Info {
	return harness.Info{
		What: "holdfast's http.Client (wrapper/httpwrap), default settings, POSTs with an Idempotency-Key that the servers keep",
		Config: Holdfast{}.Info().Config + "; POSTs have the header Idempotency-Key; the servers commit key and effect together, in a " +
			"directory that they share, as wrapper/idempotency with a TxStore in a shared database would: not that middleware itself",
		Keyed: true,
	}
}

// Dial implements harness.Stack.
func (HoldfastKeyed) Dial(cfg harness.ClientConfig) (harness.Client, error) {
	return dialHoldfast(cfg, true)
}

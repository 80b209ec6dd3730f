package harness

import "context"

// Null is a stack that does nothing: its calls succeed at once, and no
// instance hears of them. What its requests take is what the harness takes.
type Null struct{ OverHTTP }

// Name implements Stack.
func (Null) Name() string { return "null" }

// Info implements Stack.
func (Null) Info() Info {
	return Info{What: "does nothing, successfully: what the harness itself takes", Config: "none"}
}

// Dial implements Stack.
func (Null) Dial(ClientConfig) (Client, error) { return nullClient{}, nil }

type nullClient struct{}

func (nullClient) Do(context.Context, Route, string) (string, error) { return "nobody", nil }
func (nullClient) Ambiguous(error) bool                              { return false }
func (nullClient) Close() error                                      { return nil }

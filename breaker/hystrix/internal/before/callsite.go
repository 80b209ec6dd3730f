// Package callsite is code as it was written for hystrix-go.
package callsite

import (
	"context"

	"github.com/afex/hystrix-go/hystrix"
)

// Setup configures the command, as an init function did.
func Setup() {
	hystrix.ConfigureCommand("greet", hystrix.CommandConfig{
		Timeout:                1000,
		MaxConcurrentRequests:  100,
		RequestVolumeThreshold: 3,
		ErrorPercentThreshold:  50,
	})
}

// Greet has a fallback that looks at what went wrong.
func Greet(fetch func() (string, error)) (string, error) {
	var text string
	err := hystrix.Do("greet", func() (err error) {
		text, err = fetch()
		return err
	}, func(err error) error {
		if err == hystrix.ErrCircuitOpen || err == hystrix.ErrTimeout {
			text = "hello, whoever you are"
			return nil
		}
		return err
	})
	return text, err
}

// GreetLater waits for a result or an error.
func GreetLater(ctx context.Context, fetch func(context.Context) (string, error)) (string, error) {
	texts := make(chan string, 1)
	errs := hystrix.GoC(ctx, "greet", func(ctx context.Context) error {
		text, err := fetch(ctx)
		if err == nil {
			texts <- text
		}
		return err
	}, nil)
	select {
	case text := <-texts:
		return text, nil
	case err := <-errs:
		return "", err
	}
}

// Healthy is what a health check asks.
func Healthy() bool {
	circuit, _, err := hystrix.GetCircuit("greet")
	return err == nil && !circuit.IsOpen()
}

// TurnedAway tells what hystrix returned from what the function did.
func TurnedAway(err error) bool {
	_, ok := err.(hystrix.CircuitError)
	return ok
}

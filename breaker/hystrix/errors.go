package hystrix

import (
	"fmt"

	"github.com/afex/hystrix-go/hystrix"
)

// CircuitError is the library's own, as are the errors below: they are equal,
// so that code which still uses the library recognises them.
type CircuitError = hystrix.CircuitError

// What a command that was not carried out, or not to its end, returns and gives
// to its fallback. They can be compared, as well as matched.
var (
	ErrMaxConcurrency = hystrix.ErrMaxConcurrency // as many functions run as may
	ErrCircuitOpen    = hystrix.ErrCircuitOpen
	ErrTimeout        = hystrix.ErrTimeout

	// ErrNameRefused is for a name that would be one too many, or longer than
	// 256 bytes: see [MaxCommands].
	ErrNameRefused = CircuitError{Message: "command name refused"}
)

// PanicError is what [Go] and [GoC] send when the function or its fallback
// panicked.
type PanicError struct {
	Value any    // of the panic; nil if the goroutine was ended by runtime.Goexit
	Stack []byte // where
}

// Error implements error.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return "hystrix: the function ended its goroutine"
	}
	return fmt.Sprintf("hystrix: panic: %v", e.Value)
}

// Unwrap returns the value of the panic, if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

package hystrix

// Difference is a way in which the native engine decides otherwise than the
// library's circuit of the same CommandConfig. Its text says how.
type Difference string

// The differences. A differential test holds the native engine against the
// library over millions of random steps: there are no others. Each has a test
// that shows the library's defect.
const (
	OldSuccesses    Difference = "a success of a call that was admitted before the circuit opened is old news; in hystrix it closes the circuit, within the sleep window too, and excuses failures after it has closed"
	JudgedWhenAsked Difference = "a failure opens the circuit, when it is reported; hystrix judges when the next call comes, so that a success opens the circuit, or a pause in which old successes are forgotten, and the sleep window begins whenever that call comes"
	LateErrors      Difference = "errors are forgotten with the requests they came with; hystrix forgets them at the next error, up to a second later, so that four successes can be 75 % errors"
	CancelledCalls  Difference = "a call that the caller gave up says nothing, and if it was the probe the next call is; hystrix counts it as a healthy request, and waits for another sleep window"
	TurnedAwayCalls Difference = "a call that was not made, because the pool was full or the circuit open, says nothing; in hystrix it is an error of the service, so that a burst opens the circuit, and short circuits with slow fallbacks open it again"
	ProbeStarts     Difference = "there is one probe at a time, and the sleep window begins when it has failed; hystrix counts it from the start of the last probe, so that slow probes overlap and give a dead service no rest"
	ProbeCounts     Difference = "a circuit that closes starts afresh; in hystrix the success that closed it is the first of the requests that may open it"
)

// Differences returns all of them.
func Differences() []Difference {
	return []Difference{OldSuccesses, JudgedWhenAsked, LateErrors, CancelledCalls, TurnedAwayCalls, ProbeStarts, ProbeCounts}
}

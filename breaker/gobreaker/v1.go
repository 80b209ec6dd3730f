package gobreaker

import (
	v1 "github.com/sony/gobreaker"
	sony "github.com/sony/gobreaker/v2"
)

// FromV1 returns settings of github.com/sony/gobreaker v1 as v2 has them. Both
// decide alike: a differential test holds them together. Counts and states
// reach the functions in v1's types.
func FromV1(st v1.Settings) sony.Settings {
	out := sony.Settings{
		Name: st.Name, MaxRequests: st.MaxRequests, Interval: st.Interval, Timeout: st.Timeout, IsSuccessful: st.IsSuccessful,
	}
	if ready := st.ReadyToTrip; ready != nil {
		out.ReadyToTrip = func(c sony.Counts) bool {
			return ready(v1.Counts{
				Requests: c.Requests, TotalSuccesses: c.TotalSuccesses, TotalFailures: c.TotalFailures,
				ConsecutiveSuccesses: c.ConsecutiveSuccesses, ConsecutiveFailures: c.ConsecutiveFailures,
			})
		}
	}
	if listen := st.OnStateChange; listen != nil {
		out.OnStateChange = func(name string, from, to sony.State) { listen(name, v1State(from), v1State(to)) }
	}
	return out
}

func v1State(s sony.State) v1.State {
	switch s {
	case sony.StateOpen:
		return v1.StateOpen
	case sony.StateHalfOpen:
		return v1.StateHalfOpen
	}
	return v1.StateClosed
}

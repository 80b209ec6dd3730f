//go:build race

package breaker

// raceEnabled says that the race detector is on: tests do less, and a fault
// happens in its C code, where nothing can recover it.
const raceEnabled = true

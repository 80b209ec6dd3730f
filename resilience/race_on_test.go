//go:build race

package resilience_test

// raceDetector tells what counts instructions or allocations that it would
// count those of the race detector.
const raceDetector = true

//go:build !linux

package harness

import "time"

// descendantsCPU does not know: there is no /proc to ask.
func descendantsCPU([]int) time.Duration { return 0 }

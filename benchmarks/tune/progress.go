package tune

import (
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/benchmarks/internal/cli"
)

// progress shows how many runs are made.
func progress(line *cli.Line) func(done, all int) {
	var mu sync.Mutex
	var last time.Time
	return func(done, all int) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) >= 100*time.Millisecond {
			last = now
			line.Status(now, fmt.Sprintf("simulating: %d of %d", done, all))
		}
	}
}

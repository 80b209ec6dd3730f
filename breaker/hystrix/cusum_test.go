package hystrix

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
)

// The nearest CUSUM is a rule that works, and opens on a dead service after as
// many calls as the circuit.
func TestNearest(t *testing.T) {
	for _, volume := range []int{1, 2, 5, 20, 100, 1000, math.MaxInt32} {
		for _, percent := range []int{1, 10, 50, 99, 100} {
			cfg := CommandConfig{RequestVolumeThreshold: volume, ErrorPercentThreshold: percent}
			r, err := Nearest(cfg)
			if err == nil {
				err = r.Validate()
			}
			if err != nil {
				t.Errorf("%+v: %v", cfg, err)
				continue
			}
			if volume > 1000 {
				continue
			}
			opens, n := opening(breaker.Config{Rule: r}), 1
			for ; !opens(true) && n <= 2*volume; n++ {
			}
			if n != volume {
				t.Errorf("%+v: %v opens after %d", cfg, r, n)
			}
		}
	}
	for _, bad := range []CommandConfig{{Timeout: -1}, {ErrorPercentThreshold: 101}} {
		var f *breaker.FieldError
		if _, err := Nearest(bad); !errors.As(err, &f) {
			t.Errorf("of %+v: %v", bad, err)
		}
		var b strings.Builder
		if err := Compare(&b, bad); !errors.As(err, &f) || b.Len() > 0 {
			t.Errorf("of %+v: %v, and wrote %q", bad, err, b.String())
		}
	}
}

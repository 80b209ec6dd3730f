package breaker

import (
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/clock"
)

// Family makes breakers that share one configuration, and the memory for it.
// It is the native [Engine]. Safe for concurrent use; make one with
// [NewFamily].
type Family struct {
	set     atomic.Pointer[settings]
	quiet   atomic.Int64 // set.quiet(), where the healthy path finds it
	clock   clock.Clock
	onEvent func(Event)
}

var _ Engine = (*Family)(nil)

// NewFamily checks the configuration. The error lists everything wrong with
// it, as [*FieldError]s.
func NewFamily(cfg Config) (*Family, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Family{clock: cfg.Clock, onEvent: cfg.OnEvent}
	if f.clock == nil {
		f.clock = clock.System
	}
	f.apply(cfg)
	return f, nil
}

// New returns a closed breaker with nothing on record: a [*Circuit]. It takes
// 64 bytes, and 256 once it has been open. The family keeps no reference to it.
func (f *Family) New(key string) Breaker { return f.circuit(key) }

// circuit is New with the concrete type.
func (f *Family) circuit(key string) *Circuit { return &Circuit{fam: f, key: key} }

// Update gives new thresholds to all breakers of the family, those made before
// included. They keep their state: an open one stays open for as long as was
// said when it opened, and what is on record stays where the rule is of the
// same kind (for Rate and Count: and its window the same). Clock and OnEvent
// are not updated. When cfg is wrong, nothing changes and the error is that of
// [NewFamily].
func (f *Family) Update(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	f.apply(cfg)
	return nil
}

func (f *Family) apply(cfg Config) {
	s := cfg.settings()
	f.set.Store(s)
	f.quiet.Store(s.quiet())
}

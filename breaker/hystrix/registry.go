package hystrix

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/internal/clock"
	"github.com/holdfast-go/holdfast/resilience"
)

// MaxCommands is how many names there may be, used or configured: further ones
// are refused with [ErrNameRefused], since a name costs some kilobytes until the
// next [Flush]. Never make names out of what comes from outside. Change it, if
// at all, before the first command.
var MaxCommands = 1000

// maxName is how many bytes a name may have.
const maxName = 256

// registry holds the commands by name.
type registry struct {
	clk clock.Clock

	configuring sync.Mutex // held to change settings, over their way to the command

	mu       sync.RWMutex
	entries  map[string]*entry
	observer resilience.Observer
	flushed  int // how often
}

// entry is a name. mu guards it.
type entry struct {
	cfg        CommandConfig
	configured bool
	command    *Command // nil: not used yet, or flushed
}

var commands = newRegistry(clock.System)

func newRegistry(clk clock.Clock) *registry {
	return &registry{clk: clk, entries: make(map[string]*entry)}
}

// get returns the command, and whether this call made it.
func (r *registry) get(name string) (c *Command, made bool, err error) {
	r.mu.RLock()
	if e := r.entries[name]; e != nil {
		c = e.command
	}
	r.mu.RUnlock()
	for c == nil && err == nil {
		c, made, err = r.make(name)
	}
	return c, made, err
}

// make makes the command, outside the lock, since observers are told. It
// returns nil if something came between.
func (r *registry) make(name string) (c *Command, made bool, err error) {
	r.mu.Lock()
	e, err := r.entry(name)
	if err != nil {
		r.mu.Unlock()
		return nil, false, err
	}
	c, cfg, observer, flushed := e.command, e.cfg, r.observer, r.flushed
	r.mu.Unlock()
	if c != nil {
		return c, false, nil
	}
	s, err := read(cfg)
	if err != nil { // of a default
		return nil, false, err
	}
	fresh, err := newCommand(strings.Clone(name), s, r.clk, observer)
	if err != nil {
		return nil, false, err
	}
	r.mu.Lock()
	now := r.entries[name]
	mine := now == e && e.command == nil && e.cfg == cfg && r.flushed == flushed
	if mine {
		e.command = fresh
	}
	r.mu.Unlock()
	if !mine {
		return nil, false, nil // fresh was never heard of
	}
	if fresh.observer != nil {
		fresh.observer.open()
	}
	return fresh, true, nil
}

// entry returns the name's entry, made if there is none. Caller holds mu.
func (r *registry) entry(name string) (*entry, error) {
	if e := r.entries[name]; e != nil {
		return e, nil
	}
	if len(r.entries) >= MaxCommands || len(name) > maxName {
		return nil, ErrNameRefused
	}
	e := &entry{}
	r.entries[strings.Clone(name)] = e // it may be part of something large
	return e, nil
}

func (r *registry) configure(name string, cfg CommandConfig) error {
	s, err := read(cfg)
	if err != nil {
		return err
	}
	r.configuring.Lock()
	defer r.configuring.Unlock()
	r.mu.Lock()
	e, err := r.entry(name)
	if err != nil {
		r.mu.Unlock()
		return err
	}
	e.cfg, e.configured = cfg, true
	c := e.command
	r.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.update(s)
}

// flush forgets all commands, and the names that nobody configured.
func (r *registry) flush() {
	r.mu.Lock()
	r.flushed++
	var gone []*Command
	for name, e := range r.entries {
		if e.command != nil {
			gone = append(gone, e.command)
		}
		e.command = nil
		if !e.configured {
			delete(r.entries, name)
		}
	}
	r.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}

// Configure is [ConfigureCommand] for several; all are tried, and the error
// says which were refused, by name.
func Configure(cmds map[string]CommandConfig) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cmds)) {
		if err := ConfigureCommand(name, cmds[name]); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// ConfigureCommand sets what the command goes by, from its next call on if it
// is in use already: the state of its circuit and what is on record stay. The
// error lists everything wrong with the configuration, as
// [*breaker.FieldError]s, or is [ErrNameRefused]; then nothing has changed.
// (The library returns nothing; what is written for it need not look.)
func ConfigureCommand(name string, cfg CommandConfig) error { return commands.configure(name, cfg) }

// GetCircuit returns the command, made if there is none, and whether this call
// made it. The error is [ErrNameRefused].
func GetCircuit(name string) (c *CircuitBreaker, created bool, err error) { return commands.get(name) }

// Flush forgets the commands, with the state of their circuits. Configurations
// stay. Functions that run end as they would.
func Flush() { commands.flush() }

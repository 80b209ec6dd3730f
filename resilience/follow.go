package resilience

import (
	"errors"
	"reflect"
	"sync"
)

// SettingsSource says what the settings of a client are. One source serves one
// client, which closes it. Package settingsfile has one that reads a file.
type SettingsSource interface {
	// Watch starts watching. It calls report with the settings before it
	// returns, and again when they change; never concurrently.
	// report(Settings{}, err) says that they could not be read, or are wrong:
	// those in force stay. What report returns is why the client did not take
	// them, err included.
	Watch(report func(Settings, error) error) error

	// Close ends the watch: no report begins after it has returned.
	Close() error
}

// follower takes what a source reports to its client.
type follower struct {
	source SettingsSource // nil: none

	mu       sync.Mutex
	client   *Client // nil: it is being made
	settings Settings
	err      error
	news     bool // a report has come
}

// start reads the settings that a client begins with.
func (f *follower) start(cfg *Config) error {
	if f.source == nil {
		return nil
	}
	var v problems
	v.check(reflect.ValueOf(cfg.Settings).IsZero(), "settings", "set", "none beside SettingsFrom")
	if err := errors.Join(v...); err != nil {
		return err
	}
	if err := f.source.Watch(f.report); err != nil {
		return prefix("settingsFrom", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.news {
		return errors.New("settingsFrom: want settings before Watch returns, got none")
	}
	f.news = false
	cfg.Settings = f.settings
	return f.err
}

// follow takes what has been reported since start to c, and then whatever
// comes, in order.
func (f *follower) follow(c *Client) {
	for {
		f.mu.Lock()
		if !f.news {
			f.client = c
			f.mu.Unlock()
			return
		}
		f.news = false
		s, err := f.settings, f.err
		f.mu.Unlock()
		_ = c.take(s, err)
	}
}

func (f *follower) report(s Settings, err error) error {
	f.mu.Lock()
	c := f.client
	if c == nil {
		f.settings, f.err, f.news = s, err, true
	}
	f.mu.Unlock()
	if c == nil {
		return err
	}
	return c.take(s, err)
}

func (f *follower) close() error {
	if f.source == nil {
		return nil
	}
	return f.source.Close()
}

// take puts what a source reports into force, and tells.
func (c *Client) take(s Settings, err error) error {
	if err == nil {
		err = c.Update(s)
	}
	if err != nil {
		c.tell(SettingsRefused, err)
	} else {
		c.tell(SettingsChanged, nil)
	}
	return err
}

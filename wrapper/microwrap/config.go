package microwrap

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go-micro.dev/v5/client"

	"github.com/holdfast-go/holdfast/resilience"
)

// Config describes a [Client]. The zero Config makes calls to every service
// resilient, with the default settings.
type Config struct {
	// Default is for the services that Services does not name. Its Service,
	// Nodes and SettingsFrom must be empty: the name is the request's, nodes
	// come from the client's registry, and a source serves one service. Settings.Methods are named by endpoint:
	// "Hello.Greet". Fallback cannot answer with a response and is refused;
	// OwnCut is set.
	Default resilience.Config

	// Services are those that have settings of their own, by name. Where
	// Nodes is nil they come from the client's registry: see [Registry]. A
	// source of your own that cannot start at the first call is closed, and
	// the calls to its service fail.
	Services map[string]resilience.Config

	// AssumeServerDeduplicates adds an Idempotency-Key, a random UUID, to the
	// metadata of calls that are not known to be repeatable and have none, and
	// treats them as repeatable. That is right only if every service here
	// carries out each key once. Default false.
	AssumeServerDeduplicates bool

	// Method names the operation of a request in settings, judgements and
	// events; from a bounded set. Nil: the request's endpoint. It must be safe
	// for concurrent use.
	Method func(client.Request) string
}

// Validate returns all that is wrong, joined.
func (cfg Config) Validate() error {
	var errs []error
	if cfg.Default.Nodes != nil {
		errs = append(errs, errors.New("default: nodes: want nil, since one source serves one service; name the service in services"))
	}
	if cfg.Default.SettingsFrom != nil {
		errs = append(errs, errors.New("default: settingsFrom: want nil, since one source serves one service; name the service in services"))
	}
	if cfg.Default.Service != "" {
		errs = append(errs, fmt.Errorf("default: service %q: want none, since it is the request's", cfg.Default.Service))
	}
	errs = append(errs, validate("default", cfg.Default))
	for _, name := range slices.Sorted(maps.Keys(cfg.Services)) {
		if name == "" {
			errs = append(errs, errors.New(`services[""]: want the name of a service`))
		}
		errs = append(errs, validate(fmt.Sprintf("services[%q]", name), cfg.Services[name]))
	}
	return errors.Join(errs...)
}

func validate(where string, sc resilience.Config) error {
	var errs []error
	if sc.Fallback != nil {
		errs = append(errs, fmt.Errorf("%s: fallback: want nil, since it cannot answer with a response; put it around the client", where))
	}
	return errors.Join(append(errs, prefixed(where, sc.Validate()))...)
}

// prefixed puts where before each line of what is wrong.
func prefixed(where string, err error) error {
	if err == nil {
		return nil
	}
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", where, err)
	}
	var errs []error
	for _, err := range list.Unwrap() {
		errs = append(errs, prefixed(where, err))
	}
	return errors.Join(errs...)
}

// New makes a client.Wrapper of cfg, for micro.WrapClient or client.Wrap. Each
// client that it wraps becomes a [*Client]. A wrapper cannot return an error:
// if cfg is wrong, every call fails with all that is. Ask cfg.Validate first.
func New(cfg Config) client.Wrapper {
	cfg.Services = maps.Clone(cfg.Services)
	err := prefixed("microwrap", cfg.Validate())
	return func(next client.Client) client.Client { return newClient(cfg, err, next) }
}

package sim

import "errors"

type world struct{}

func newWorld(System, uint64) (*world, error) {
	return nil, errors.New("sim: under construction on branch sim")
}

func (w *world) run() (*Result, error) { return nil, nil }

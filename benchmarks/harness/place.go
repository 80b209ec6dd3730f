package harness

// place is where a process runs. The nil place is where we are.
type place struct{ fd int }

// within calls f, which starts a process, at the place, on a thread that
// belongs to the caller.
func (p *place) within(f func() error) error {
	if p == nil {
		return f()
	}
	return p.enter(f)
}

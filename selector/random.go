package selector

// Random chooses uniformly, whatever the weights.
type Random struct{}

// Choose implements [Strategy].
func (Random) Choose(v View) int { return v.Uniform() }

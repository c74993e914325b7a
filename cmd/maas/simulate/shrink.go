package simulate

import "slices"

// Shrink returns a shorter story in which the same invariant does not hold, and the result of its
// run. The story of opts must fail; if it does not, its result is returned as it is. It runs as
// many simulations as it needs, some dozens.
func Shrink(opts Options) (*Result, error) {
	worst, err := Run(opts)
	if err != nil || len(worst.Violations) == 0 {
		return worst, err
	}
	invariant := worst.Violations[0].Invariant
	// Parts of half the length, then of a quarter and so on, are left out as long as that changes
	// nothing. The time of a step that is left out is kept: it may be what matters.
	for size := (len(worst.Story) + 1) / 2; size > 0; size /= 2 {
		for at := 0; at < len(worst.Story); {
			opts.Story = without(worst.Story, at, min(at+size, len(worst.Story)))
			r, err := Run(opts)
			if err != nil {
				return nil, err
			}
			if len(r.Violations) > 0 && r.Violations[0].Invariant == invariant {
				worst = r
			} else {
				at += size
			}
		}
	}
	return worst, nil
}

// without returns the story without some steps, with those behind them at their times.
func without(story []Step, from, to int) []Step {
	rest := slices.Clone(story[to:])
	if len(rest) > 0 {
		for _, s := range story[from:to] {
			rest[0].After += s.After
		}
	}
	return append(slices.Clone(story[:from]), rest...)
}

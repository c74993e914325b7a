package inventory

// Bound sets the bounds of the history.
func (ls *Leases) Bound(keep, trim int64, notes int) { ls.bounds = periodBounds{keep, trim, notes} }

package objects

import "slices"

// An Extent is a run of bytes, from Start up to but not including End.
type Extent struct{ Start, End int64 }

// Extents are the present runs of a body: sorted, not adjacent, none of them empty.
type Extents []Extent

// Add joins a run to them.
func (x *Extents) Add(e Extent) {
	if e.Start >= e.End {
		return
	}
	list := *x
	first := slices.IndexFunc(list, func(o Extent) bool { return o.End >= e.Start })
	if first < 0 {
		*x = append(list, e)
		return
	}
	last := first
	for last < len(list) && list[last].Start <= e.End {
		e.Start, e.End = min(e.Start, list[last].Start), max(e.End, list[last].End)
		last++
	}
	if last == first+1 { // grows one, as nearly always
		list[first] = e
		return
	}
	*x = slices.Replace(slices.Clone(list), first, last, e)
}

// Run returns the end of the present bytes that continue from at, and at itself if that byte is
// missing.
func (x Extents) Run(at int64) int64 {
	for _, e := range x {
		if e.Start <= at && at < e.End {
			return e.End
		}
	}
	return at
}

// Gap returns the first missing run of those between from and to.
func (x Extents) Gap(from, to int64) (Extent, bool) {
	from = x.Run(from)
	if from >= to {
		return Extent{}, false
	}
	for _, e := range x {
		if e.Start > from {
			to = min(to, e.Start)
			break
		}
	}
	return Extent{from, to}, true
}

// Bytes returns the number of present bytes.
func (x Extents) Bytes() (n int64) {
	for _, e := range x {
		n += e.End - e.Start
	}
	return n
}

// valid reports whether they are as Add makes them, within a body of that size.
func (x Extents) valid(size int64) bool {
	end := int64(-1)
	for _, e := range x {
		if e.Start <= end || e.End <= e.Start || e.End > size {
			return false
		}
		end = e.End
	}
	return true
}

package dhcpsrv

import "slices"

// dueHeap is a binary heap of entries, the first to end on top. Each entry knows its place, so that
// a renewal need not search.
type dueHeap []*entry

func (h *dueHeap) push(e *entry) {
	*h = append(*h, e)
	e.due = len(*h) - 1
	h.up(e.due)
}

func (h *dueHeap) remove(e *entry) {
	i := e.due
	if i < 0 {
		return
	}
	last := len(*h) - 1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	e.due = -1
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h dueHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].due, h[j].due = i, j
}

func (h dueHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].end <= h[i].end {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h dueHeap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].end < h[child].end {
			child++
		}
		if h[i].end <= h[child].end {
			return
		}
		h.swap(i, child)
		i = child
	}
}

// sortByEnd orders entries by the time they run out, so that lists filled from them are in order of
// last use.
func sortByEnd(entries []*entry) {
	slices.SortFunc(entries, func(a, b *entry) int {
		switch {
		case a.end < b.end:
			return -1
		case a.end > b.end:
			return 1
		}
		return 0
	})
}

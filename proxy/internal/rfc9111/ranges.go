package rfc9111

import (
	"strconv"
	"strings"
)

// A Range is one byte range as it was asked for.
type Range struct {
	First int64 // -1: the last Last bytes
	Last  int64 // inclusive; -1: to the end
}

// ParseRange reads a Range field of one byte range. Other fields may be ignored by whom they do not
// suit (RFC 9110, 14.2).
func ParseRange(field string) (r Range, ok bool) {
	set, ok := strings.CutPrefix(field, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(set), "-")
	if !ok || !dash || first == "" && last == "" {
		return Range{}, false
	}
	if r.First, ok = offset(first); !ok {
		return Range{}, false
	}
	if r.Last, ok = offset(last); !ok || r.First >= 0 && r.Last >= 0 && r.Last < r.First {
		return Range{}, false
	}
	return r, true
}

// offset reads a position of at most 18 digits, or -1 for none.
func offset(text string) (int64, bool) {
	if text == "" {
		return -1, true
	}
	if len(text) > 18 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// In returns the range's place in a body of that size, and whether it has one.
func (r Range) In(size int64) (start, length int64, ok bool) {
	if r.First < 0 {
		length = min(r.Last, size)
		return size - length, length, length > 0
	}
	if r.First >= size {
		return 0, 0, false
	}
	if r.Last < 0 || r.Last >= size {
		return r.First, size - r.First, true
	}
	return r.First, r.Last - r.First + 1, true
}

//go:build !linux

package proxy

// spaceFor is not known here; the default limit holds.
func spaceFor(string) int64 { return 2 * defaultLimit }

// sizeOf is not known here, so nothing is kept free by default.
func sizeOf(string) int64 { return 0 }

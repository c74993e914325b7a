//go:build !linux

package proxy

import "math"

func spaceFor(string) int64 { return math.MaxInt64 }

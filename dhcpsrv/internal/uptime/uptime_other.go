//go:build !linux

// Package uptime returns how long the machine has run.
package uptime

import "time"

// Of knows no uptime on this system.
func Of(int64, time.Duration) (string, time.Duration) { return "", 0 }

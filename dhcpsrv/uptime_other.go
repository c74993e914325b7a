//go:build !linux

package dhcpsrv

import "time"

// machineUptime does not know.
func machineUptime(int64) (string, time.Duration) { return "", 0 }

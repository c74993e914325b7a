//go:build !linux

package dhcpsrv

import "time"

// machineUptime knows no uptime on this system.
func machineUptime(int64) (string, time.Duration) { return "", 0 }

// Package uptime returns how long the machine has run.
package uptime

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Of returns how long the machine has run, suspended or not, and a name of this boot. The name is
// empty when it is not known, and when the caller's wall clock differs from the machine's by step
// or more, as in a simulation.
func Of(wall int64, step time.Duration) (boot string, up time.Duration) {
	var real, since unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME, &real) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil {
		return "", 0
	}
	if time.Duration(real.Nano()-wall).Abs() >= step {
		return "", 0
	}
	name, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", 0
	}
	offsets, _ := os.ReadFile("/proc/self/timens_offsets") // older kernels have no such file
	return bootName(name, offsets), time.Duration(since.Nano())
}

// bootName returns the name of a boot in one time namespace: each namespace may have an uptime of
// its own.
func bootName(id, offsets []byte) string {
	return strings.Join(strings.Fields(string(id)+" "+string(offsets)), " ")
}

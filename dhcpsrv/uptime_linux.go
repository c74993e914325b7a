package dhcpsrv

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machineUptime returns for how long the machine has run, asleep or not, since a start that has a name of its own. It is no
// name when that is not known, and when the time that goes here is not the machine's: a simulation's.
func machineUptime(wall int64) (boot string, up time.Duration) {
	var real, since unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME, &real) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil {
		return "", 0
	}
	if time.Duration(real.Nano()-wall).Abs() >= clockStep {
		return "", 0
	}
	name, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", 0
	}
	offsets, _ := os.ReadFile("/proc/self/timens_offsets") // older kernels have none
	return bootName(name, offsets), time.Duration(since.Nano())
}

// bootName names a start of the machine as seen from one time namespace: each may have an uptime of its own.
func bootName(id, offsets []byte) string {
	return strings.Join(strings.Fields(string(id)+" "+string(offsets)), " ")
}

package ipmi_test

import (
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// sdr is a line for the simulator: a full sensor record (IPMI 2.0 section 43.1) with a factor, an exponent and a base unit.
func sdr(number int, name string, kind, unit, factor, exponent byte) string {
	r := make([]byte, 48, 64)
	r[2], r[3], r[5], r[7], r[8], r[12], r[13] = 0x51, 1, 0x20, byte(number), 7, kind, 1
	r[21], r[24], r[29], r[47] = unit, factor, exponent<<4, 0xc0|byte(len(name))
	r = append(r, name...)
	r[4] = byte(len(r) - 5)
	line := "main_sdr_add 0x20"
	for _, b := range r {
		line += fmt.Sprintf(" 0x%02x", b)
	}
	return line
}

// sim gives the simulator a sensor with its value.
func sim(number, kind, value int) string {
	const none = "000000000000000"
	return fmt.Sprintf("sensor_add 0x20 0 %[1]d %[2]d 1\nsensor_set_value 0x20 0 %[1]d %[3]d 0\n"+
		"sensor_set_event_support 0x20 0 %[1]d enable scanning per-state %[4]s %[4]s %[4]s %[4]s", number, kind, value, none)
}

// OpenIPMI's simulator has sensors, and the tool of most operators reads the same values.
func TestSensors(t *testing.T) {
	netlab.Require(t, netlab.Program("ipmitool", "ipmitool"))
	address, _ := openSim(t,
		sim(1, 1, 42), sdr(1, "CPU Temp", 1, 1, 1, 0),
		sim(2, 2, 200), sdr(2, "12V", 2, 4, 6, 0xe),
		sim(3, 4, 50), sdr(3, "Fan 1", 4, 18, 60, 0),
	)
	c := powertest.Controller(t, ipmi.Kind())
	target := power.Target{Kind: "ipmi", Params: power.Params{
		"power_address": address, "power_user": "admin", "power_pass": "secret", "cipher_suite_id": "3",
	}}
	await(t, c, target)
	sensors, err := c.Sensors(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(t.Context(), "ipmitool", "-H", host, "-p", port, "-U", "admin", "-E", "-I", "lanplus", "-C", "3", "-c", "sdr", "list")
	cmd.Env = append(os.Environ(), "IPMI_PASSWORD=secret")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 || len(sensors) != 3 {
		t.Fatalf("ipmitool has %q, we have %+v", lines, sensors)
	}
	for i, line := range lines {
		fields := strings.Split(line, ",")
		value, err := strconv.ParseFloat(fields[1], 64)
		if s := sensors[i]; err != nil || s.Name != fields[0] || math.Abs(s.Value-value) > 0.01 || s.Unit != fields[2] && s.Unit+"olts" != fields[2] {
			t.Errorf("ipmitool says %q, we %+v", line, s)
		}
	}
}

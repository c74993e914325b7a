package pdu_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/pdu"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// passScript keeps the state of outlets in files beside itself. snmpd asks it with -g and an OID, and sets with -s, the OID,
// the type and the value.
const passScript = `#!/bin/sh
outlet=${2##*.}
file=$(dirname "$0")/outlet$outlet
case $outlet in 7 | 8) ;; *) exit 0 ;; esac
if [ "$1" = -s ]; then
	echo "$4" >"$file"
	exit 0
fi
echo "$2"
echo integer
cat "$file"
`

// snmpd starts net-snmp's agent on a free port with the column of an APC unit, and returns its
// address and the directory of the outlets.
func snmpd(t *testing.T) (address, dir string) {
	t.Helper()
	netlab.Require(t, netlab.Program("/usr/sbin/snmpd", "snmpd"))
	dir = t.TempDir()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = conn.LocalAddr().String()
	conn.Close()
	script := filepath.Join(dir, "pass")
	config := fmt.Sprintf(`agentaddress udp:%s
rwcommunity private 127.0.0.1
rocommunity public 127.0.0.1
createUser maas SHA "auth-password" AES "priv-password"
rwuser maas
pass .1.3.6.1.4.1.318.1.1.12.3.3.1.1.4 %s
`, address, script)
	for name, text := range map[string]string{"pass": passScript, "outlet7": "2\n", "outlet8": "2\n", "snmpd.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	cmd := exec.Command("/usr/sbin/snmpd", "-f", "-Lo", "-C", "-c", filepath.Join(dir, "snmpd.conf"), "-I", "-smux")
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+dir)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	return address, dir
}

// A real agent with the columns of a make in a pass script is a PDU.
func TestSNMPD(t *testing.T) {
	address, dir := snmpd(t)
	c := powertest.Controller(t, pdu.Kinds()...)
	target := func(change ...string) power.Target {
		p := power.Params{"pdu_type": "apc", "power_address": address, "node_outlet": "7,8", "power_on_delay": "0"}
		for i := 0; i < len(change); i += 2 {
			p[change[i]] = change[i+1]
		}
		return power.Target{Kind: "pdu", Params: p}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // the agent needs a moment to start
		state, err := c.Query(t.Context(), target())
		if err == nil && state == power.Off {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, %v; want off", state, err)
		}
	}
	user := []string{"snmp_version", "3", "power_user", "maas", "power_pass", "auth-password"}
	private := append(user[:len(user):len(user)], "snmp_privacy_pass", "priv-password")
	for name, change := range map[string][]string{"version 1": nil, "version 2c": {"snmp_version", "2c"}, "version 3": user, "version 3 with privacy": private} {
		for _, want := range []power.State{power.On, power.Off} {
			if result, err := c.Ensure(t.Context(), target(change...), want, power.Options{}); err != nil || result.State != want {
				t.Errorf("%s: %s: %+v, %v", name, want, result, err)
			}
			value, _ := os.ReadFile(filepath.Join(dir, "outlet8"))
			if on := strings.TrimSpace(string(value)) == "1"; on != (want == power.On) {
				t.Errorf("%s: %s: the outlet has %s", name, want, value)
			}
		}
	}
	for name, tt := range map[string]struct {
		target power.Target
		want   power.Class
	}{
		"no such outlet":        {target("node_outlet", "9"), power.Settings},
		"no such outlet, 2c":    {target("node_outlet", "9", "snmp_version", "2c"), power.Settings},
		"another make":          {target("pdu_type", "vertiv"), power.Settings},
		"a user that is none":   {target(append(user, "power_user", "nobody")...), power.Auth},
		"another password":      {target(append(user, "power_pass", "other-password")...), power.Auth},
		"community to read":     {target("power_pass", "public", "snmp_version", "2c"), ""},
		"another privacy":       {target(append(private, "snmp_privacy_pass", "other-password")...), power.Connection},
		"an unknown community":  {target("power_pass", "other"), power.Connection},
		"another authorization": {target(append(user, "snmp_auth", "MD5")...), power.Auth},
	} {
		if _, err := c.Query(t.Context(), tt.target); power.ClassOf(err) != tt.want {
			t.Errorf("%s: %v of class %s", name, err, power.ClassOf(err))
		}
	}
	if _, err := c.Ensure(t.Context(), target("power_pass", "public", "snmp_version", "2c"), power.On, power.Options{}); power.ClassOf(err) != power.Auth {
		t.Errorf("a community that may only read: %v of class %s", err, power.ClassOf(err))
	}
	for name, target := range map[string]power.Target{"version 1": target(), "version 3 with privacy": target(private...)} {
		t.Run("transcript, "+name, func(t *testing.T) { transcribe(t, c, target, "private", "auth-password", "priv-password") })
	}
}

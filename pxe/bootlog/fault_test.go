package bootlog_test

import (
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/bootlog"
)

// The lines are those of public reports of boots that failed.
func TestFaultOf(t *testing.T) {
	for line, want := range map[string]string{
		"[    1.78] Initramfs unpacking failed: write error":                                          "memory",
		"[    2.78] RAMDISK: incomplete write (-28 != 4096)":                                          "memory",
		"wget: short write: No space left on device":                                                  "memory",
		"curl: (23) Failed writing body (1024 != 16384)":                                              "memory",
		"Kernel panic - not syncing: Out of memory and no killable processes":                         "memory",
		"[    0.51] Initramfs unpacking failed: Invalid magic at start of compressed archive":         "initrd",
		"[    0.51] Initramfs unpacking failed: junk at the end of compressed archive":                "initrd",
		"anna[2345]: WARNING **: no packages matching running kernel 6.1.0-18-amd64 in archive":       "modules",
		"modprobe: can't change directory to '/lib/modules/6.1.0': No such file or directory":         "modules",
		"wget: server returned error: HTTP/1.1 404 Not Found":                                         "http",
		"dracut-initqueue[700]: curl: (22) The requested URL returned error: 404":                     "http",
		"curl: (60) SSL certificate problem: unable to get local issuer certificate":                  "tls",
		"ERROR: cannot verify rack's certificate, issued by 'CN=x': self-signed":                      "tls",
		"ipconfig: no devices to configure":                                                           "nic",
		"IP-Config: No network devices available":                                                     "nic",
		"netconsole: eth0 doesn't exist, aborting":                                                    "nic",
		"ipconfig: eth9: SIOCGIFINDEX: No such device":                                                "nic",
		"main-menu[235]: No Ethernet card was detected.":                                              "nic",
		"bnx2 0000:01:00.0: Direct firmware load for bnx2/bnx2-mips-06-6.2.3.fw failed with error -2": "firmware",
		`e100: eth0: e100_request_firmware: Failed to load firmware "e100/d101m_ucode.bin": -2`:       "firmware",
		"dracut-initqueue[765]: Warning: No carrier detected on interface nmn0.":                      "carrier",
		"dracut-initqueue[765]: Warning: dhcp for interface ens1f1 failed":                            "dhcp",
		"IP-Config: no response after 3 secs - giving up":                                             "dhcp",
		"udhcpc: no lease, failing":                                                                   "dhcp",
		"NetworkManager[512]: <warn> dhcp4 (eth0): request timed out":                                 "dhcp",
		"linuxrc: DHCP configuration failed.":                                                         "dhcp",
		"systemd-networkd-wait-online[331]: Timeout occurred while waiting for network connectivity.": "dhcp",
		"wget: bad address 'images.example'":                                                          "dns",
		"curl: (6) Could not resolve host: mirror.example":                                            "dns",
		"wget: can't connect to remote host (192.0.2.9): Connection refused":                          "connect",
		"curl: (7) Failed to connect to 192.0.2.9 port 80 after 3071 ms: No route to host":            "connect",
		"dracut-initqueue[1411]: Warning: failed to download live image: error 0":                     "image",
		"Unable to find a live file system on the network":                                            "image",
		"Unable to find a medium containing a live file system":                                       "image",
		"dracut: Warning: anaconda: failed to fetch stage2 from http://192.0.2.1/os":                  "image",
		"[    1.92] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)":   "root",
		`VFS: Cannot open root device "(null)" or unknown-block(0,0): error -6`:                       "root",
		"ALERT!  /dev/sda1 does not exist.  Dropping to a shell!":                                     "root",
		"Kernel panic - not syncing: No working init found.  Try passing init= option to kernel.":     "root",
		"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100":                     "panic",
		"dracut-initqueue[700]: Warning: dracut-initqueue timeout - starting timeout scripts":         "emergency",
		"BusyBox v1.36.1 (Debian 1:1.36.1-3) built-in shell (ash)":                                    "emergency",
		"e1000e: eth0 NIC Link is Up 1000 Mbps Full Duplex":                                           "",
		"cfg80211: failed to load regulatory.db":                                                      "",
		"platform regulatory.0: Direct firmware load for regulatory.db failed with error -2":          "",
		"systemd[1]: Started Network Time Service.":                                                   "",
	} {
		f, ok := bootlog.FaultOf(line)
		if f.Name != want || ok != (want != "") || ok && f.Line != line {
			t.Errorf("%s: %+v, want %s", line, f, want)
		}
		if ok && (!strings.Contains(f.String(), "; it logged ") || strings.Contains(f.String(), "\n")) {
			t.Errorf("%s", f)
		}
	}
}

// What caused the others goes before them, and a fault of a newer program is quoted.
func TestOutranks(t *testing.T) {
	fault := func(name string) bootlog.Fault { return bootlog.Fault{Name: name, Line: "x"} }
	for _, tt := range [][2]string{{"memory", "root"}, {"nic", "dhcp"}, {"dhcp", "image"}, {"http", "dhcp"}, {"root", "panic"}, {"image", "emergency"}, {"emergency", ""}, {"emergency", "unheard"}} {
		if !fault(tt[0]).Outranks(fault(tt[1])) || fault(tt[1]).Outranks(fault(tt[0])) || fault(tt[0]).Outranks(fault(tt[0])) {
			t.Errorf("%s does not go before %s alone", tt[0], tt[1])
		}
	}
	if got := fault("unheard").String(); got != `it logged "x"` {
		t.Error(got)
	}
}

// A try that succeeds mends the fault of its kind alone.
func TestMendedBy(t *testing.T) {
	for line, want := range map[string]string{
		"IP-Config: Complete:":                                                                "dhcp",
		"IP-Config: eth0 complete (dhcp from 192.0.2.1):":                                     "dhcp",
		"udhcpc: lease of 192.0.2.5 obtained from 192.0.2.1, lease time 600":                  "dhcp",
		"bound to 192.0.2.5 -- renewal in 284 seconds.":                                       "dhcp",
		"eth0: leased 192.0.2.5 for 600 seconds":                                              "dhcp",
		"eth0: DHCPv4 address 192.0.2.5/24, gateway 192.0.2.1 acquired from 192.0.2.1":        "dhcp",
		"NetworkManager[60]: <info> dhcp4 (eth0): state changed new lease, address=192.0.2.5": "dhcp",
		"e1000e 0000:00:19.0 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: None":  "carrier",
		"IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready":                             "carrier",
		"eth0: carrier acquired":                                                              "carrier",
		"eth0: Gained carrier":                                                                "carrier",
		"IP-Config: no response after 60 secs - giving up":                                    "",
		"DHCPDISCOVER on eth0 to 255.255.255.255 port 67 interval 6":                          "",
		"No working leases in persistent database - sleeping.":                                "",
	} {
		for _, name := range []string{"dhcp", "carrier", "memory", ""} {
			if got := (bootlog.Fault{Name: name}).MendedBy(line); got != (want != "" && name == want) {
				t.Errorf("%s mends %q: %v", line, name, got)
			}
		}
	}
}

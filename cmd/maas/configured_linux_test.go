package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
)

// wire counts what passes an interface, by kind.
type wire struct {
	mu   sync.Mutex
	seen map[string]int // guarded by mu
}

// watchWire counts the frames of an interface until the test ends.
func watchWire(t *testing.T, ns *netlab.NS, ifname string) *wire {
	t.Helper()
	var fd int
	err := ns.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		index, err := netIndex(ifname)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: index}) // ETH_P_ALL
	})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1) // the kernel takes tags out of frames
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{seen: map[string]int{}}
	var done sync.WaitGroup
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended); done.Wait(); unix.Close(fd) })
	done.Go(func() {
		frame, control := make([]byte, 2048), make([]byte, 256)
		for {
			select {
			case <-ended:
				return
			default:
			}
			n, c, _, _, err := unix.Recvmsg(fd, frame, control, 0)
			if err == nil {
				w.count(frame[:n], vlanOf(control[:c]))
			}
		}
	})
	return w
}

// vlanOf returns the VLAN ID that the kernel took out of a frame, zero for none.
func vlanOf(control []byte) int {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		// tpacket_auxdata: status, len, snaplen (32 bits each), mac, net, vlan_tci (16 bits each)
		if m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 18 && binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
			return int(binary.NativeEndian.Uint16(m.Data[16:]) & 0xfff)
		}
	}
	return 0
}

func (w *wire) count(frame []byte, vid int) {
	if len(frame) < 60 {
		return
	}
	kind := "other"
	switch p := frame[14:]; binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		if port := int(p[22])<<8 | int(p[23]); p[9] == unix.IPPROTO_UDP && (port == 67 || port == 68) {
			kind = "DHCPv4"
		}
	case unix.ETH_P_IPV6:
		switch port := int(p[42])<<8 | int(p[43]); {
		case p[6] == unix.IPPROTO_ICMPV6 && p[40] == 134:
			kind = "router advertisement"
		case p[6] == unix.IPPROTO_UDP && (port == 546 || port == 547):
			kind = "DHCPv6"
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[kind]++
	if vid != 0 {
		w.seen[fmt.Sprint("vlan ", vid)]++
	}
}

// now returns how many frames of each kind were seen.
func (w *wire) now(kind string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[kind]
}

// netIndex returns the number of an interface of the calling thread's namespace.
func netIndex(ifname string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(ifname)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r)
	return int(r.Uint32()), err
}

// configuredSite is a machine with a bond of two cards and a tagged VLAN on it, all static.
const configuredSite = `
vlans: [{fabric: fabric-1, vid: 100}]
subnets:
  - {cidr: 192.0.2.0/24, vlan: fabric-1/0, gateway_ip: 192.0.2.254}
  - {cidr: 198.51.100.0/24, vlan: fabric-1/100}
  - {cidr: "2001:db8:100::/64", vlan: fabric-1/100, gateway_ip: "2001:db8:100::1"}
machines:
  - hostname: web-1
    interfaces:
      - {name: eth0, mac_address: "%[1]s", vlan: fabric-1/0}
      - {name: eth1, mac_address: "%[2]s", vlan: fabric-1/0}
      - {name: bond0, type: bond, mac_address: "%[1]s", parents: [eth0, eth1], vlan: fabric-1/0, params: {bond_mode: active-backup},
         links: [{mode: static, subnet: 192.0.2.0/24, ip_address: 192.0.2.50}]}
      - {name: bond0.100, type: vlan, parents: [bond0], vlan: fabric-1/100,
         links: [{mode: static, subnet: 198.51.100.0/24, ip_address: 198.51.100.50}, {mode: static, subnet: "2001:db8:100::/64", ip_address: "2001:db8:100::50"}]}
`

// reportNetwork is the user data: the machine writes what it became to its console.
const reportNetwork = `#cloud-config
runcmd:
  - [sh, -c, "(ping -c 1 -W 1 198.51.100.1; echo NETWORK-BEGINS; ip -o addr show; ip route show; ip -6 route show; cat /proc/net/bonding/bond0; hostname; echo NETWORK-ENDS) >/dev/ttyS0 2>&1"]
`

// A Debian with cloud-init boots from the site and comes up with what the inventory says: a bond, a
// tagged VLAN on it, static addresses and default routes of both families. Nothing advertises a
// router, the machine asks no DHCP server after its firmware has, and its timeline ends in
// "configured".
func TestDebianIsConfigured(t *testing.T) {
	vm := qemutest.VM{Firmware: qemutest.BIOS, MAC: mac(1), Tap: "tap1", MemoryMB: 2048, Extra: []qemutest.Card{{MAC: mac(2), Tap: "tap2"}}}
	netlab.Require(t, vm.Needs()...)
	netlab.Require(t, netlab.Program("cloud-init", "cloud-init"), netlab.Program("netplan", "netplan.io"))
	guest := qemutest.NewDebian(t)
	s := newRealSite(t, "--kernel", guest.Kernel, "--initrd", guest.Initrd,
		"--cmdline", "console=ttyS0 net.ifnames=0 ds=nocloud;dsmode=net;s={metadata} network-config={network_config} systemd.show_status=0")
	for _, tap := range []string{"tap1", "tap2"} {
		s.ns.Tap("br0", tap)
	}
	s.start()
	defer s.stop()
	dir := t.TempDir()
	for name, text := range map[string]string{"site.yaml": fmt.Sprintf(configuredSite, mac(1), mac(2)), "user-data": reportNetwork} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.maas("settings", "set", "router_advertisements", "none")
	s.maas("apply", "--file", filepath.Join(dir, "site.yaml"))
	s.maas("user-data", "set", "--machine", "web-1", filepath.Join(dir, "user-data"))
	traffic := watchWire(t, s.ns, "br0")
	began := time.Now()
	machine := qemutest.Start(t, s.ns, vm)
	await := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Minute); !done(); time.Sleep(250 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not within %v; the timeline:\n%s", what, time.Since(began).Round(time.Second), s.maas("timeline", "web-1"))
			}
		}
		t.Logf("%s after %v", what, time.Since(began).Round(time.Second))
	}
	await("the kernel runs", func() bool { return strings.Contains(machine.Serial(), "Linux version") })
	before := traffic.now("DHCPv4")
	if before == 0 {
		t.Error("the firmware asked no DHCP server; the watch does not see it")
	}
	await("cloud-init is done", func() bool { return strings.Contains(machine.Serial(), "NETWORK-ENDS") })
	await("the machine is configured", func() bool { return strings.Contains(s.maas("timeline", "web-1"), "configured") })
	_, report, _ := strings.Cut(strings.ReplaceAll(machine.Serial(), "\r", ""), "NETWORK-BEGINS")
	for _, want := range []string{
		"bond0    inet 192.0.2.50/24", "bond0.100    inet 198.51.100.50/24", "bond0.100    inet6 2001:db8:100::50/64",
		"default via 192.0.2.254 dev bond0", "default via 2001:db8:100::1 dev bond0.100",
		"Slave Interface: eth0", "Slave Interface: eth1", "fault-tolerance (active-backup)", "\nweb-1",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the machine has no %q:\n%s", want, report)
		}
	}
	if strings.Contains(report, "dynamic") {
		t.Error("the machine has an address that is not static")
	}
	if got := traffic.now("DHCPv4") - before; got != 0 || traffic.now("DHCPv6") != 0 {
		t.Errorf("the system sent %d packets of DHCP and %d of DHCPv6", got, traffic.now("DHCPv6"))
	}
	if got := traffic.now("router advertisement"); got != 0 {
		t.Errorf("%d router advertisements on the wire", got)
	}
	if traffic.now("vlan 100") == 0 {
		t.Error("no tagged frame on the wire")
	}
}

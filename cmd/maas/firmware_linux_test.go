package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// realSite is `maas all` on a bridge in a namespace of its own.
type realSite struct {
	t      *testing.T
	ns     *netlab.NS
	binary string
	data   string
	args   []string
	daemon *exec.Cmd
	log    *os.File
}

const siteAddr = "192.0.2.1"

func newRealSite(t *testing.T, args ...string) *realSite {
	t.Helper()
	lab := netlab.New(t)
	s := &realSite{t: t, ns: lab.NS("site"), data: filepath.Join(t.TempDir(), "data"), binary: build(t)}
	s.ns.Bridge("br0")
	s.ns.Addr("br0", siteAddr+"/24")
	s.args = append([]string{"all", "--data", s.data, "--interface", "br0", "--log-format", "text"}, args...)
	var err error
	if s.log, err = os.Create(filepath.Join(t.TempDir(), "maas.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if data, err := os.ReadFile(s.log.Name()); err == nil && t.Failed() {
			t.Logf("the daemon's log:\n%s", data)
		}
		s.log.Close()
	})
	return s
}

// start starts the daemon and waits until it answers.
func (s *realSite) start() {
	s.t.Helper()
	s.daemon = s.ns.Command(context.WithoutCancel(s.t.Context()), s.binary, s.args...)
	s.daemon.Stdout, s.daemon.Stderr = s.log, s.log
	if err := s.daemon.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if exec.Command(s.binary, "subnet", "list", "--data", s.data).Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the daemon does not answer")
		}
	}
}

// stop ends the daemon as init would, and checks that it takes no longer than it may.
func (s *realSite) stop() {
	s.t.Helper()
	began := time.Now()
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.daemon.Wait(); err != nil {
		s.t.Errorf("the daemon ended with %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		s.t.Errorf("the daemon took %v to end", took)
	}
	if s.log == nil {
		return
	}
	if data, err := os.ReadFile(s.log.Name()); err != nil || strings.Contains(string(data), "server failed") {
		s.t.Errorf("a part of the daemon failed (%v):\n%s", err, data)
	}
}

// maas runs one command of the command line.
func (s *realSite) maas(args ...string) string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), s.binary, append(args, "--data", s.data)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("maas %v: %v: %s", args, err, out)
	}
	return string(out)
}

// dig asks the daemon's DNS server from inside the namespace.
func (s *realSite) dig(args ...string) string {
	s.t.Helper()
	out, err := s.ns.Command(s.t.Context(), "dig", append([]string{"@" + siteAddr, "+short", "+time=2"}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("dig %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// machines reads the machines through the API on its TCP port, with a key, as any client of MAAS does.
func (s *realSite) machines() map[string]maasapi.Machine {
	s.t.Helper()
	key := strings.Split(strings.TrimSpace(s.maas("apikey", "--username", "admin")), ":")
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", "http://"+siteAddr+":5240/MAAS/api/2.0/machines/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", `+
		`oauth_token="%s", oauth_signature="%%26%s", oauth_nonce="%d", oauth_timestamp="%d"`, key[0], key[1], key[2], time.Now().UnixNano(), time.Now().Unix()))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = s.ns.Do(func() error { conn, err = (&net.Dialer{}).DialContext(ctx, network, addr); return err })
		return conn, err
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []maasapi.Machine
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		s.t.Fatalf("%s: %v", resp.Status, err)
	}
	byMAC := map[string]maasapi.Machine{}
	for _, m := range list {
		if m.BootInterface != nil {
			byMAC[m.BootInterface.MACAddress] = m
		}
	}
	return byMAC
}

// check compares what the API, DNS and the lease say of a machine that has booted.
func (s *realSite) check(mac net.HardwareAddr, uuid, firmware string) maasapi.Machine {
	s.t.Helper()
	m, ok := s.machines()[mac.String()]
	if !ok {
		s.t.Fatalf("%s is not listed", mac)
	}
	if m.Architecture != "amd64/generic" || m.HardwareUUID != uuid || m.BootMethod != firmware {
		s.t.Errorf("%s is listed as %s, UUID %s, firmware %s; want UUID %s, firmware %s", mac, m.Architecture, m.HardwareUUID, m.BootMethod, uuid, firmware)
	}
	if len(m.IPAddresses) == 0 {
		s.t.Fatalf("%s has no address", m.FQDN)
	}
	addr := m.IPAddresses[0]
	if got := s.dig(m.FQDN); got != addr {
		s.t.Errorf("%s is %q in the DNS and %s in the API", m.FQDN, got, addr)
	}
	if got := s.dig("-x", addr); got != m.FQDN+"." {
		s.t.Errorf("%s is called %q, want %s", addr, got, m.FQDN)
	}
	if events := s.maas("events", m.SystemID, "--limit", "200"); !strings.Contains(events, "running: ") {
		s.t.Errorf("%s has not reported back; its events:\n%s", m.FQDN, events)
	}
	return m
}

// bmc starts OpenIPMI's BMC simulator in the namespace, whose chassis control switches the machine.
func (s *realSite) bmc(port int, vm qemutest.VM) {
	s.t.Helper()
	args, err := vm.CommandLine()
	if err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = "'" + a + "'"
	}
	files := map[string]string{
		"control": `#!/bin/sh
cd ` + dir + ` || exit 1
shift; op=$1; shift
case $op in
get) for p; do case $p in power) if [ -f pid ] && kill -0 "$(cat pid)" 2>/dev/null; then echo power:1; else echo power:0; fi;;
	boot) echo "boot:$(cat boot 2>/dev/null || echo none)";; esac; done;;
set) while [ $# -gt 1 ]; do case $1$2 in
	power1) ` + strings.Join(quoted, " ") + ` </dev/null >qemu.log 2>&1 & echo $! >pid;;
	power0) [ -f pid ] && kill "$(cat pid)"; rm -f pid;;
	boot*) echo "$2" >boot;;
	esac; shift 2; done;;
esac
`,
		"lan.conf": fmt.Sprintf(`name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %d
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s/control 0x20"
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
`, port, dir),
		"sim.emu": "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	sim := s.ns.Command(ctx, "ipmi_sim", "-c", dir+"/lan.conf", "-f", dir+"/sim.emu", "-s", dir, "-n")
	if err := sim.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cancel(); sim.Wait() })
}

// awaitSerial waits until a machine's console shows the guest's marker.
func awaitSerial(t *testing.T, vm qemutest.VM) {
	t.Helper()
	var console []byte
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		if console, _ = os.ReadFile(vm.SerialLog()); strings.Contains(string(console), qemutest.Marker) {
			return
		}
	}
	t.Fatalf("%s: the guest does not come up; its console:\n%s", vm.MAC, console)
}

// awaitReport waits until the region has heard that the machine runs.
func (s *realSite) awaitReport(mac net.HardwareAddr) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if m, ok := s.machines()[mac.String()]; ok && strings.Contains(s.maas("events", m.SystemID, "--limit", "200"), "running: ") {
			return
		}
	}
}

// Real firmware, from power-on to a running Linux, through one binary: a machine that the site does
// not know, and two that are switched on through their BMCs, with BIOS and with UEFI, shim and
// GRUB.
func TestFirmwareBootsToLinux(t *testing.T) {
	unknown := qemutest.VM{Firmware: qemutest.BIOS, MAC: mac(1), UUID: "11111111-2222-3333-4444-000000000001", Tap: "tap1"}
	bios := qemutest.VM{Firmware: qemutest.BIOS, MAC: mac(2), UUID: "11111111-2222-3333-4444-000000000002", Tap: "tap2"}
	uefi := qemutest.VM{Firmware: qemutest.UEFI, MAC: mac(3), UUID: "11111111-2222-3333-4444-000000000003", Tap: "tap3"}
	netlab.Require(t, append(uefi.Needs(), bios.Needs()...)...)
	netlab.Require(t, netlab.Program("ipmi_sim", "openipmi"), netlab.Program("dig", "bind9-dnsutils"),
		netlab.File("/usr/lib/shim/shimx64.efi.signed", "shim-signed"),
		netlab.File("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed"))
	guest := qemutest.NewGuest(t)
	s := newRealSite(t, "--kernel", guest.Kernel, "--initrd", guest.Initrd, "--cmdline", qemutest.Cmdline+" maas.done={done}")
	for i, vm := range []*qemutest.VM{&unknown, &bios, &uefi} {
		vm.Dir = t.TempDir()
		s.ns.Tap("br0", vm.Tap)
		if i > 0 {
			s.bmc(9000+i, *vm)
		}
	}
	s.start()

	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, vm := range []qemutest.VM{bios, uefi} {
		s.maas("machine", "create", "--mac", vm.MAC.String(), "--name", []string{"bios", "uefi"}[i], "--power-type", "ipmi",
			"--power-address", fmt.Sprintf("127.0.0.1:%d", 9001+i), "--power-user", "admin", "--power-pass-file", password)
	}

	began := time.Now()
	qemutest.Start(t, s.ns, unknown)
	if out := s.maas("machine", "power", "on", "uefi"); !strings.Contains(out, "on") {
		t.Errorf("power on: %s", out)
	}
	awaitSerial(t, unknown)
	t.Logf("an unknown BIOS machine runs Linux after %v", time.Since(began).Round(time.Second))
	awaitSerial(t, uefi)
	t.Logf("a UEFI machine (shim, GRUB) runs Linux %v after power on through IPMI", time.Since(began).Round(time.Second))
	began = time.Now()
	s.maas("machine", "power", "on", "bios")
	awaitSerial(t, bios)
	t.Logf("a BIOS machine (iPXE) runs Linux %v after power on through IPMI", time.Since(began).Round(time.Second))

	for _, vm := range []qemutest.VM{unknown, bios, uefi} {
		s.awaitReport(vm.MAC)
	}
	enlisted := s.check(unknown.MAC, unknown.UUID, "bios-ipxe")
	if enlisted.StatusName != "New" {
		t.Errorf("the enlisted machine is %s", enlisted.StatusName)
	}
	s.check(bios.MAC, bios.UUID, "bios-ipxe")
	s.check(uefi.MAC, uefi.UUID, "uefi-amd64-pxe")
	s.maas("machine", "power", "off", "uefi")
	if out := s.maas("machine", "power", "query", "uefi"); !strings.Contains(out, "off") {
		t.Errorf("after power off: %s", out)
	}

	if out := s.maas("discovery", "list"); !strings.Contains(out, uefi.MAC.String()) {
		t.Errorf("the machine was not seen on the wire: %s", out)
	}

	s.stop()
	s.start() // nothing is lost, and the names answer from disk
	defer s.stop()
	for _, vm := range []qemutest.VM{unknown, bios, uefi} {
		s.check(vm.MAC, vm.UUID, map[string]string{"uefi": "uefi-amd64-pxe", "bios": "bios-ipxe"}[string(vm.Firmware)])
	}
}

// UEFI firmware that boots over IPv6 alone boots from a site whose only configuration is its interface.
func TestFirmwareOverIPv6WithoutConfiguration(t *testing.T) {
	vm := qemutest.VM{Firmware: qemutest.UEFI, IPv6: true, MAC: mac(6), UUID: "11111111-2222-3333-4444-000000000006", Tap: "tap6"}
	netlab.Require(t, vm.Needs()...)
	netlab.Require(t, netlab.File("/usr/lib/shim/shimx64.efi.signed", "shim-signed"),
		netlab.File("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed"))
	guest := qemutest.NewGuest(t)
	s := newRealSite(t, "--kernel", guest.Kernel, "--initrd", guest.Initrd, "--cmdline", qemutest.Cmdline+" maas.done={done}")
	s.ns.IP("-6", "addr", "add", "2001:db8::1/64", "dev", "br0", "nodad")
	s.ns.Tap("br0", vm.Tap)
	s.start()
	defer s.stop()
	vm.Dir = t.TempDir()
	began := time.Now()
	qemutest.Start(t, s.ns, vm)
	awaitSerial(t, vm)
	t.Logf("a UEFI machine (IPv6, shim, GRUB) runs Linux after %v", time.Since(began).Round(time.Second))
	s.awaitReport(vm.MAC)
	if m := s.machines()[vm.MAC.String()]; m.BootMethod != "uefi-amd64-pxe" {
		t.Errorf("enlisted as %+v", m)
	}
}

func mac(n byte) net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, n} }

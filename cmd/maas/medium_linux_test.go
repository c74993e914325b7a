package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
)

// virtualBMC is a simulated Redfish BMC in the site's namespace, whose machine is one of QEMU: it
// reads the image in its drive, or the URL of UEFI HTTP boot, as the machine is switched on.
type virtualBMC struct {
	*powersim.Chassis
	s    *realSite
	vm   qemutest.VM
	runs sync.WaitGroup

	mu   sync.Mutex // guards the fields below
	stop context.CancelFunc
	read string // the last URL
}

// redfish serves a BMC at an address of the bridge, and returns it.
func (s *realSite) redfish(addr string, vm qemutest.VM) *virtualBMC {
	s.t.Helper()
	b := &virtualBMC{Chassis: &powersim.Chassis{}, s: s, vm: vm}
	b.OnPower = b.power
	var sim *powersim.BMC
	var front net.Listener
	err := s.ns.Do(func() (err error) {
		if sim, err = powersim.ServeRedfish(b.Chassis, "admin", "secret"); err == nil {
			front, err = net.Listen("tcp", addr)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		front.Close()
		sim.Close()
		b.mu.Lock()
		if b.stop != nil {
			b.stop()
		}
		b.mu.Unlock()
		b.runs.Wait()
	})
	go func() { // the simulator is on loopback, and the rack's boot server is not
		for {
			conn, err := front.Accept()
			if err != nil {
				return
			}
			go s.forward(conn, sim.Address)
		}
	}()
	return b
}

// forward passes a connection on to an address of the namespace.
func (s *realSite) forward(conn net.Conn, to string) {
	defer conn.Close()
	back, err := s.dial(context.Background(), "tcp", strings.TrimPrefix(to, "https://"))
	if err != nil {
		return
	}
	defer back.Close()
	go func() {
		_, _ = io.Copy(back, conn)
		_ = back.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, back)
}

// dial connects from inside the namespace.
func (s *realSite) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = s.ns.Do(func() error { conn, err = (&net.Dialer{}).DialContext(ctx, network, addr); return err })
	return conn, err
}

// power is called with the chassis locked, so that the image is read beside it.
func (b *virtualBMC) power(on bool, device power.BootDevice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
	if !on {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.runs.Go(func() {
		if err := b.run(ctx, device); err != nil && ctx.Err() == nil {
			b.s.t.Errorf("%s: %v", b.vm.MAC, err)
		}
	})
}

func (b *virtualBMC) run(ctx context.Context, device power.BootDevice) error {
	vm, url := b.vm, ""
	switch device {
	case power.CD:
		url = b.Media()
	case power.NetworkHTTP:
		url = b.BootURL()
	}
	if url == "" {
		return fmt.Errorf("started from %s, without an image", device)
	}
	b.mu.Lock()
	b.read = url
	b.mu.Unlock()
	vm.CD = filepath.Join(vm.Dir, "drive.iso")
	if err := b.fetch(ctx, url, vm.CD); err != nil {
		return err
	}
	args, err := vm.CommandLine()
	if err != nil {
		return err
	}
	out, err := b.s.ns.Command(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// fetch reads an image as BMCs do.
func (b *virtualBMC) fetch(ctx context.Context, url, file string) error {
	client := &http.Client{Transport: &http.Transport{DialContext: b.s.dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the image: %s", resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, resp.Body)
	return err
}

// farSite has machines in a network that no rack serves.
const farSite = `
fabrics: [{name: far}]
vlans: [{fabric: far, vid: 0}]
subnets: [{cidr: 198.51.100.0/24, vlan: far/0, gateway_ip: 198.51.100.1}]
machines:
  - {hostname: bios, interfaces: [{name: eth0, mac_address: "%s", vlan: far/0, links: [{mode: static, subnet: 198.51.100.0/24, ip_address: 198.51.100.21}]}]}
  - {hostname: uefi, interfaces: [{name: eth0, mac_address: "%s", vlan: far/0, links: [{mode: static, subnet: 198.51.100.0/24, ip_address: 198.51.100.22}]}]}
`

// Machines behind a router, on whose network no DHCP server answers, boot from an image that is made
// for them: by BIOS, and by UEFI that enforces Secure Boot. They report back as others do.
func TestBootWithoutDHCP(t *testing.T) {
	bios := qemutest.VM{Firmware: qemutest.BIOS, MAC: mac(21), Tap: "tap21", Dir: t.TempDir()}
	uefi := qemutest.VM{Firmware: qemutest.SecureBoot, MAC: mac(22), Tap: "tap22", Dir: t.TempDir(), MemoryMB: 768}
	netlab.Require(t, append(uefi.Needs(), bios.Needs()...)...)
	netlab.Require(t, netlab.File("/usr/lib/shim/shimx64.efi.signed", "shim-signed"), netlab.File("/usr/lib/ipxe/ipxe.iso", "ipxe"),
		netlab.File("/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", "grub-efi-amd64-signed"))
	guest := qemutest.NewGuest(t)
	s := newRealSite(t, "--kernel", guest.Kernel, "--initrd", guest.Initrd, "--cmdline", qemutest.Cmdline+" maas.done={done}")
	s.ns.Bridge("br1")
	s.ns.Addr("br1", "198.51.100.1/24")
	s.ns.Tap("br1", bios.Tap)
	s.ns.Tap("br1", uefi.Tap)
	frames := watchWire(t, s.ns, "br1")
	bmcs := map[string]*virtualBMC{"bios": s.redfish(siteAddr+":9021", bios), "uefi": s.redfish(siteAddr+":9022", uefi)}
	s.start()
	defer s.stop()
	site := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(site, fmt.Appendf(nil, farSite, bios.MAC, uefi.MAC), 0o600); err != nil {
		t.Fatal(err)
	}
	s.maas("apply", "-f", site)
	s.maas("rack", "assign", "rack", "--network", "198.51.100.0/24") // the rack reports for its own networks alone
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, port := range map[string]int{"bios": 9021, "uefi": 9022} {
		s.maas("machine", "update", name, "power_type=redfish", fmt.Sprintf("power_parameters_power_address=https://%s:%d", siteAddr, port),
			"power_parameters_power_user=admin", "power_parameters_power_pass=@"+password, "power_parameters_tls_verify=no")
	}
	began := time.Now()
	for _, name := range []string{"bios", "uefi"} {
		if out := s.maas("machine", "boot", name, "--via", "media"); !strings.Contains(out, "via media") {
			t.Errorf("boot %s: %s", name, out)
		}
	}
	for _, vm := range []qemutest.VM{bios, uefi} {
		awaitSerial(t, vm)
		t.Logf("a machine with %s runs Linux %v after machine boot --via media", vm.Firmware, time.Since(began).Round(time.Second))
		s.awaitReport(vm.MAC)
	}
	if n := frames.now("DHCPv4"); n != 0 {
		t.Errorf("%d frames of DHCP on the machines' network", n)
	}
	s.checkMedium(bmcs["bios"], "bios", "198.51.100.21")
	s.checkMedium(bmcs["uefi"], "uefi", "198.51.100.22")

	s.maas("machine", "power", "off", "uefi")
	if out := s.maas("machine", "boot", "uefi", "--via", "uefi-http"); !strings.Contains(out, "via uefi-http") {
		t.Errorf("boot via uefi-http: %s", out)
	}
	awaitSerial(t, uefi)
	if url := bmcs["uefi"].BootURL(); !strings.HasPrefix(url, "http://"+siteAddr+":5248/medium/") {
		t.Errorf("the URL for the firmware is %q", url)
	}
}

// checkMedium compares what the machine, its timeline, its events and the audit log say.
func (s *realSite) checkMedium(b *virtualBMC, name, addr string) {
	s.t.Helper()
	console, _ := os.ReadFile(b.vm.SerialLog())
	if want := fmt.Sprintf("%s host=%s addr=%s/24", qemutest.Marker, name, addr); !strings.Contains(string(console), want) {
		s.t.Errorf("the console of %s does not show %q:\n%s", name, want, console)
	}
	events := s.maas("events", name, "--limit", "200")
	b.mu.Lock()
	_, token, _ := strings.Cut(b.read, "/medium/")
	b.mu.Unlock()
	token, _, _ = strings.Cut(token, "/")
	for text, want := range map[string]bool{"/medium/boot.iso": true, "running: ": true, token: false} {
		if strings.Contains(events, text) != want {
			s.t.Errorf("%q is in the events of %s: %v, want %v:\n%s", text, name, !want, want, events)
		}
	}
}

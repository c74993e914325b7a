package bmcserve_test

import (
	"net"
	"testing"

	"github.com/digitalocean/go-libvirt"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/libvirttest"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// domain is a machine of a real libvirtd.
type domain struct {
	t       *testing.T
	virt    *libvirt.Libvirt
	machine libvirt.Domain
	target  power.Target
}

// On reports whether the machine runs.
func (d domain) On() bool {
	state, _, err := d.virt.DomainGetState(d.machine, 0)
	if err != nil {
		d.t.Error(err)
	}
	return libvirt.DomainState(state) == libvirt.DomainRunning
}

// boots returns what the machine that runs has booted from, first ones first.
func (d domain) boots() string {
	text, err := d.virt.DomainGetXMLDesc(d.machine, 0)
	if err != nil {
		d.t.Error(err)
	}
	return libvirttest.BootDevices(text)
}

// serveLibvirt serves the machine of a libvirtd.
func serveLibvirt(t *testing.T) (*served, domain) {
	t.Helper()
	netlab.Require(t, netlab.Program("libvirtd", "libvirt-daemon"))
	socket := libvirttest.Daemon(t)
	d := domain{t: t, virt: libvirttest.Connect(t, socket)}
	var err error
	if d.machine, err = d.virt.DomainLookupByName(libvirttest.Machine); err != nil {
		t.Fatal(err)
	}
	d.target = power.Target{Name: "vm1", Kind: "virsh", Params: power.Params{"power_address": libvirttest.URI(socket), "power_id": libvirttest.Machine}}
	return serveTargets(t, map[string]powered{"vm1": d}, d.target), d
}

// The clients of IPMI, of Redfish and of MAAS' contract drive a machine of libvirt.
func TestLibvirt(t *testing.T) {
	requireSushy(t)
	netlab.Require(t, netlab.Program("ipmitool", "ipmitool"), netlab.Program("/usr/sbin/ipmipower", "freeipmi-tools"))
	s, machine := serveLibvirt(t)
	for name, drive := range map[string]func(*testing.T, *served){
		"ipmitool": driveIPMItool, "FreeIPMI": driveFreeIPMI, "sushy": driveSushy, "gofish": driveGofish,
	} {
		t.Run(name, func(t *testing.T) { drive(t, s) })
	}
	t.Run("contract", func(t *testing.T) { driveContract(t, s.chassis, machine.target) })
}

const sushyBoot = `
import sys, sushy, urllib3
urllib3.disable_warnings()
address, target, enabled = sys.argv[1:]
system = sushy.Sushy("https://" + address + "/redfish/v1", verify=False, auth=sushy.auth.BasicAuth("admin", "secret")).get_system("/redfish/v1/Systems/vm1")
system.set_system_boot_options(target=getattr(sushy.BootSource, target), enabled=getattr(sushy.BootSourceOverrideEnabled, enabled))
system.reset_system(sushy.ResetType.ON)
`

// A boot device that a client sets arrives at the machine of libvirt: for one boot, or until it is
// taken back.
func TestLibvirtBootDevices(t *testing.T) {
	requireSushy(t)
	netlab.Require(t, netlab.Program("ipmitool", "ipmitool"))
	s, machine := serveLibvirt(t)
	usual := machine.boots()
	host, port, _ := net.SplitHostPort(s.own)
	ipmitool := func(args ...string) {
		t.Helper()
		if out, err := run(t, "ipmitool", append([]string{"-I", "lanplus", "-C", "17", "-H", host, "-p", port, "-U", "admin", "-P", "secret", "chassis"}, args...)...); err != nil {
			t.Fatalf("ipmitool %q: %v: %s", args, err, out)
		}
	}
	stop := func() {
		t.Helper()
		ipmitool("power", "off")
		eventually(t, "off", func() bool { return !machine.On() })
	}
	started := func(how, want string) {
		t.Helper()
		eventually(t, "on", machine.On)
		if got := machine.boots(); got != want {
			t.Errorf("%s: booted from %q, want %q", how, got, want)
		}
		stop()
	}
	stop()
	for device, want := range map[string]string{"pxe": "network hd", "disk": "hd network", "none": usual} {
		ipmitool("bootdev", device)
		ipmitool("power", "on")
		started("ipmitool bootdev "+device, want)
		ipmitool("power", "on")
		started("the boot after it", usual)
	}
	for target, want := range map[string]string{"PXE": "network hd", "HDD": "hd network"} {
		if out, err := sushyRun(t, sushyBoot, s.web, target, "ONCE"); err != nil {
			t.Fatalf("sushy: %v: %s", err, out)
		}
		started("sushy "+target, want)
	}
	if out, err := sushyRun(t, sushyBoot, s.web, "PXE", "CONTINUOUS"); err != nil {
		t.Fatalf("sushy: %v: %s", err, out)
	}
	started("sushy PXE for all boots", "network hd")
	ipmitool("power", "on")
	started("the boot after it", "network hd")
}

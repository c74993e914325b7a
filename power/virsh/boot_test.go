package virsh_test

import (
	"strings"
	"testing"

	"github.com/digitalocean/go-libvirt"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/libvirttest"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/virsh"
)

// A boot device holds for one start, or for all; the definition keeps all else.
func TestBootDevices(t *testing.T) {
	socket := daemon(t)
	l := libvirttest.Connect(t, socket)
	machine, err := l.DomainLookupByName(libvirttest.Machine)
	if err != nil {
		t.Fatal(err)
	}
	definition := `<domain type='test' xmlns:own='urn:example'><name>test</name><uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory>8388608</memory><os><type>hvm</type><boot dev='cdrom'/></os>
  <devices><graphics type='vnc' passwd='hidden'/></devices></domain>`
	if _, err := l.DomainDefineXML(definition); err != nil {
		t.Fatal(err)
	}
	boots := func(flags libvirt.DomainXMLFlags) string {
		t.Helper()
		text, err := l.DomainGetXMLDesc(machine, flags|libvirt.DomainXMLSecure)
		if err != nil {
			t.Fatal(err)
		}
		if flags == libvirt.DomainXMLInactive && !strings.Contains(text, "passwd='hidden'") {
			t.Errorf("the definition has lost the password of its display: %s", text)
		}
		return libvirttest.BootDevices(text)
	}
	c, target := powertest.Controller(t, virsh.Kind()), power.Target{Kind: virsh.Name, Params: power.Params{"power_address": libvirttest.URI(socket), "power_id": libvirttest.Machine}}
	start := func(boot power.BootDevice) {
		t.Helper()
		if _, err := c.Cycle(t.Context(), target, power.Options{Boot: boot}); err != nil {
			t.Fatal(err)
		}
	}
	start("")
	for _, boot := range []struct {
		device power.BootDevice
		want   string
	}{{power.Network, "network hd"}, {power.Disk, "hd network"}, {power.Default, "cdrom"}, {"", "cdrom"}} {
		start(boot.device)
		if got, kept := boots(0), boots(libvirt.DomainXMLInactive); got != boot.want || kept != "cdrom" {
			t.Errorf("boot %q: the machine booted from %q, and its definition says %q", boot.device, got, kept)
		}
		start("")
		if got := boots(0); got != "cdrom" {
			t.Errorf("the boot after %q was from %q", boot.device, got)
		}
	}
	if err := c.SetBootAlways(t.Context(), target, power.Network); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		start("")
		if got := boots(0); got != "network hd" {
			t.Errorf("always from the network: %q", got)
		}
	}
	if err := c.SetBootAlways(t.Context(), target, power.Default); err != nil || boots(libvirt.DomainXMLInactive) != "hd" {
		t.Errorf("given back to the firmware: %v, %q", err, boots(libvirt.DomainXMLInactive))
	}
	if err := c.SetBootAlways(t.Context(), target, power.Setup); power.ClassOf(err) != power.Unsupported {
		t.Errorf("the setup screen: %v", err)
	}
}

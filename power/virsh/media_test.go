package virsh_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/digitalocean/go-libvirt"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/libvirttest"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/virsh"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Images are inserted and ejected while a real QEMU runs and while it does not, and it boots from
// one once. A machine without a drive gets one for its next start.
func TestMediaOfQEMU(t *testing.T) {
	netlab.Require(t, netlab.Program("qemu-system-x86_64", "qemu-system-x86"))
	socket := daemon(t)
	l := libvirttest.ConnectTo(t, socket, "qemu:///session")
	dir := filepath.Dir(socket)
	images := []string{filepath.Join(dir, "one.iso"), filepath.Join(dir, "two.iso")}
	disk := filepath.Join(dir, "disk")
	for _, file := range append(images, disk) {
		if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o666); err != nil { // QEMU runs as another user
			t.Fatal(err)
		}
	}
	c := powertest.Controller(t, virsh.Kind())
	for name, devices := range map[string]string{
		"with":    `<disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>`,
		"without": `<disk type='file' device='disk'><source file='` + disk + `'/><target dev='sda' bus='sata'/></disk>`,
	} {
		machine, err := l.DomainDefineXML(`<domain type='qemu'><name>` + name + `</name><memory>65536</memory>
			<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>` + devices + `</devices></domain>`)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.DomainDestroy(machine) }) // else QEMU outlives its daemon
		target := power.Target{Kind: virsh.Name, Params: power.Params{"power_address": "qemu+unix:///session?socket=" + socket, "power_id": name}}
		has := func(what string, flags libvirt.DomainXMLFlags, image string) {
			t.Helper()
			text, err := l.DomainGetXMLDesc(machine, flags)
			if err != nil || image != "" && !strings.Contains(text, image) || image == "" && strings.Contains(text, ".iso") {
				t.Errorf("%s, %s: want %q, %v in\n%s", name, what, image, err, text)
			}
		}
		insert := func(image string) {
			t.Helper()
			if err := c.InsertMedia(t.Context(), target, image); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Media(t.Context(), target); err != nil || got != image {
				t.Errorf("%s: inserted %q: %q, %v", name, image, got, err)
			}
		}
		insert("https://192.0.2.1:8443/a%20b.iso") // written down alone: no server answers
		insert(images[0])
		if _, err := c.Ensure(t.Context(), target, power.On, power.Options{Boot: power.CD}); err != nil {
			t.Fatal(err)
		}
		has("when it starts", 0, images[0])
		has("when it starts", 0, "<boot dev='cdrom'/>")
		insert(images[1])
		has("exchanged while it runs", 0, images[1])
		if err := c.EjectMedia(t.Context(), target); err != nil {
			t.Error(err)
		}
		has("ejected while it runs", 0, "")
		has("ejected while it runs", libvirt.DomainXMLInactive, "")
		if _, err := c.Ensure(t.Context(), target, power.Off, power.Options{}); err != nil {
			t.Error(err)
		}
	}
}

package bmcserve_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
)

// serveMedia serves a machine with Redfish, one of Proxmox VE, one of libvirt, and one without virtual media. It
// returns what each booted from.
func serveMedia(t *testing.T) (*served, map[string]*powersim.Chassis, map[string]chan power.BootDevice) {
	t.Helper()
	var targets []power.Target
	chassis, boots, behind := map[string]*powersim.Chassis{}, map[string]chan power.BootDevice{}, map[string]powered{}
	for name, serve := range map[string]func(*powersim.Chassis) (*powersim.BMC, error){
		"rf": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServeRedfish(c, "root", "hidden") },
		"pve": func(c *powersim.Chassis) (*powersim.BMC, error) {
			return powersim.ServeProxmox(c, "maas@pve", "hidden")
		},
		"virt":  powersim.ServeLibvirt,
		"plain": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServePlug(c, "shelly", "hidden") },
	} {
		booted := make(chan power.BootDevice, 100)
		c := &powersim.Chassis{OnPower: func(on bool, device power.BootDevice) {
			if on {
				booted <- device
			}
		}}
		b, err := serve(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		target := b.Target()
		target.Name = name
		targets = append(targets, target)
		chassis[name], boots[name], behind[name] = c, booted, c
	}
	return serveTargets(t, behind, targets...), chassis, boots
}

// images are those that the power types take.
var images = map[string][2]string{
	"rf": {"https://192.0.2.1/one.iso?sig=secret", "http://192.0.2.1/two.iso"}, "pve": {"local:iso/one.iso", "nas:iso/two.iso"},
	"virt": {"/var/lib/libvirt/images/one.iso", "https://192.0.2.1/two.iso?sig=secret"},
}

const sushyMedia = `
import sys, sushy, urllib3
urllib3.disable_warnings()
address, machine, image = sys.argv[1:]
system = sushy.Sushy("https://" + address + "/redfish/v1", verify=False, auth=sushy.auth.BasicAuth("admin", "secret")).get_system("/redfish/v1/Systems/" + machine)
drive = system.managers[0].virtual_media.get_members()[0]
if image == "eject":
    drive.eject_media()
else:
    drive.insert_media(image)
drive.refresh()
print(drive.inserted, drive.image)
if image != "eject":
    system.set_system_boot_options(target=sushy.BootSource.CD, enabled=sushy.BootSourceOverrideEnabled.ONCE)
    system.reset_system(sushy.ResetType.FORCE_RESTART)
`

// sushy, as Ironic uses it, and gofish insert an image, boot from it once, and eject it.
func TestMedia(t *testing.T) {
	requireSushy(t)
	s, chassis, boots := serveMedia(t)
	for machine, images := range images {
		c := chassis[machine]
		for _, image := range images { // the second takes the place of the first
			out, err := sushyRun(t, sushyMedia, s.web, machine, image)
			shown, _, _ := strings.Cut(image, "?")
			if err != nil || strings.TrimSpace(out) != "True "+shown || c.Media() != image {
				t.Fatalf("%s: sushy: %v: %s, the machine has %q", machine, err, out, c.Media())
			}
			want := power.CD
			if machine == "pve" { // it chooses for all boots alone
				want = power.Default
			}
			if got := <-boots[machine]; got != want {
				t.Errorf("%s: booted from %q, want %q", machine, got, want)
			}
		}
		if out, err := sushyRun(t, sushyMedia, s.web, machine, "eject"); err != nil || strings.TrimSpace(out) != "False None" || c.Media() != "" {
			t.Errorf("%s: sushy ejects: %v: %s", machine, err, out)
		}
		gofishMedia(t, s, machine, images[1], c)
	}
	for _, e := range s.audited() {
		if strings.Contains(e.Action, "sig=") {
			t.Errorf("the audit shows the signature of a URL: %+v", e)
		}
	}
}

func gofishMedia(t *testing.T, s *served, machine, image string, c *powersim.Chassis) {
	t.Helper()
	client, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{Endpoint: "https://" + s.web, Username: "admin@" + machine, Password: "secret", Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.HTTPClient.CloseIdleConnections()
	defer client.Logout()
	systems, err := client.Service.Systems()
	if err != nil {
		t.Fatal(err)
	}
	drives, err := systems[0].VirtualMedia()
	if err != nil || len(drives) != 1 {
		t.Fatalf("%s: %d drives, %v", machine, len(drives), err)
	}
	if _, err := drives[0].InsertMedia(&schemas.VirtualMediaInsertMediaParameters{Image: image}); err != nil || c.Media() != image {
		t.Errorf("%s: gofish inserts: %v, the machine has %q", machine, err, c.Media())
	}
	if _, err := drives[0].EjectMedia(); err != nil || c.Media() != "" {
		t.Errorf("%s: gofish ejects: %v, the machine has %q", machine, err, c.Media())
	}
}

// What cannot be inserted is refused, and a machine without virtual media has none.
func TestMediaRefusals(t *testing.T) {
	s, chassis, _ := serveMedia(t)
	drive := func(machine string) string { return "/redfish/v1/Systems/" + machine + "/VirtualMedia/CD" }
	const insert = "/Actions/VirtualMedia.InsertMedia"
	for name, tt := range map[string]struct {
		method, path, user, body string
		want                     int
	}{
		"none":          {"GET", drive("plain"), "admin", "", 404},
		"none to fill":  {"POST", drive("plain") + insert, "admin", `{"Image":"http://192.0.2.1/a.iso"}`, 404},
		"no image":      {"POST", drive("rf") + insert, "admin", `{}`, 400},
		"no JSON":       {"POST", drive("rf") + insert, "admin", `{`, 400},
		"credentials":   {"POST", drive("rf") + insert, "admin", `{"Image":"http://a:hidden@192.0.2.1/a.iso"}`, 400},
		"another thing": {"POST", drive("pve") + insert, "admin", `{"Image":"http://192.0.2.1/a.iso"}`, 400},
		"to write":      {"POST", drive("rf") + insert, "admin", `{"Image":"http://192.0.2.1/a.iso","WriteProtected":false}`, 400},
		"a reader":      {"POST", drive("rf") + insert, "reader", `{"Image":"http://192.0.2.1/a.iso"}`, 404},
		"shown":         {"GET", drive("rf"), "admin", "", 200},
		"manager":       {"GET", "/redfish/v1/Managers/plain", "admin", "", 200},
		"drives":        {"GET", "/redfish/v1/Managers/pve/VirtualMedia", "admin", "", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "https://"+s.web+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		password := map[string]string{"admin": "secret", "reader": "secret-2"}[tt.user]
		if tt.user == "reader" && s.first() == "rf" {
			tt.want = http.StatusForbidden
		}
		req.SetBasicAuth(tt.user, password)
		resp, err := insecure().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, tt.want)
		}
	}
	if got := chassis["rf"].Media() + chassis["pve"].Media(); got != "" {
		t.Errorf("inserted %q", got)
	}
}

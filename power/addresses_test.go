package power_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/amt"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/openbmc"
	"github.com/gomaas/maas/power/pdu"
	"github.com/gomaas/maas/power/proxmox"
	"github.com/gomaas/maas/power/qmp"
	"github.com/gomaas/maas/power/redfish"
	"github.com/gomaas/maas/power/smartplug"
	"github.com/gomaas/maas/power/ssh"
	"github.com/gomaas/maas/power/virsh"
	"github.com/gomaas/maas/power/webhook"
	"github.com/gomaas/maas/power/wol"
)

// All kinds refuse an address that cannot be meant as a mistake in the settings, with the reason, and
// take all forms of one that can. Nothing answers at the addresses here.
func TestAddressesOfAllKinds(t *testing.T) {
	kinds := map[string]struct {
		kind   power.Kind
		params power.Params
		before string // and after: what is written around the address
		after  string
		param  string
		url    bool // takes http:// and https://
	}{
		"redfish": {redfish.Kind(), power.Params{"power_user": "a", "power_pass": "b"}, "", "", "power_address", true},
		"openbmc": {openbmc.Kind(), power.Params{"power_user": "a", "power_pass": "b"}, "", "", "power_address", true},
		"ipmi":    {ipmi.Kind(), power.Params{}, "", "", "power_address", false},
		"apc":     {pdu.Kinds()[1], power.Params{"node_outlet": "1"}, "", "", "power_address", false},
		"ssh":     {ssh.Kind(), power.Params{"power_user": "a", "power_pass": "b", "command_on": "x", "command_off": "x", "command_query": "x"}, "", "", "power_address", false},
		"amt":     {amt.Kind(), power.Params{"power_pass": "b"}, "", "", "power_address", true},
		"proxmox": {proxmox.Kind(), power.Params{"power_user": "a@pve", "power_pass": "b", "power_vm_name": "100"}, "", "", "power_address", true},
		"plug":    {smartplug.Kind(), power.Params{"plug_type": "tasmota"}, "", "", "power_address", true},
		"wol":     {wol.Kind(), power.Params{"mac_address": "00:00:5e:00:53:01"}, "", "", "power_address", false},
		"qemu":    {qmp.Kind(), power.Params{}, "", "", "power_address", false},
		"virsh":   {virsh.Kind(), power.Params{"power_id": "vm"}, "qemu+tcp://", "/system", "power_address", false},
		"webhook": {webhook.Kind(), power.Params{"power_on_uri": "http://bmc/on", "power_off_uri": "http://bmc/off"}, "http://", "/state?key=x", "power_query_uri", false},
	}
	open := func(t *testing.T, name, text string) error {
		t.Helper()
		k := kinds[name]
		p := power.Params{k.param: k.before + text + k.after}
		for key, value := range k.params {
			p[key] = value
		}
		c, err := power.NewController(power.Config{Registry: power.NewRegistry(k.kind), Timeout: time.Second, Spacing: -1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Query(t.Context(), power.Target{Kind: k.kind.Name, Params: p})
		return err
	}
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{"[::1", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:port", "1:2:3", "127.0.1", "b mc", "[127.0.0.1]:1"} {
				if err := open(t, name, text); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), k.param) {
					t.Errorf("%q: class %q, %v", text, power.ClassOf(err), err)
				}
			}
			forms := []string{"127.0.0.1:1", "[::1]:1", "[::1%25lo]:1", "localhost:1"}
			if k.url {
				forms = append(forms, "http://[::1]:1/", "https://127.0.0.1:1/", " 127.0.0.1:1/ ", "127.0.0.1:1")
			}
			if name == "redfish" || name == "openbmc" || name == "wol" {
				forms = append(forms, "::1") // a port of its own, at which nothing is said to listen
			}
			for _, text := range forms {
				if k.before == "" && !strings.Contains(text, "://") {
					text = strings.Replace(text, "%25", "%", 1)
				}
				err := open(t, name, text)
				if class := power.ClassOf(err); class != power.Connection && class != "" || class == "" && name != "wol" {
					t.Errorf("%q: class %q, %v", text, class, err)
				}
			}
			if !k.url && k.before == "" {
				if err := open(t, name, "https://127.0.0.1:1"); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "write the host") {
					t.Errorf("a URL: class %q, %v", power.ClassOf(err), err)
				}
			}
		})
	}
}

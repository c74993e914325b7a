package kinds_test

import (
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
)

// A form can be drawn of each kind, and what looks like a secret is masked.
func TestKindsAreDescribed(t *testing.T) {
	for name, k := range kinds.All() {
		if k.Name != name || k.Title == "" || k.Open == nil {
			t.Errorf("%s: name %q, title %q", name, k.Name, k.Title)
		}
		seen := map[string]bool{}
		for _, p := range k.Params {
			if p.Name == "" || p.Label == "" || seen[p.Name] {
				t.Errorf("%s: parameter %q has no label, or is there twice", name, p.Name)
			}
			seen[p.Name] = true
			secret := strings.Contains(p.Name, "pass") || strings.Contains(p.Name, "token_secret") || strings.HasSuffix(p.Name, "_key") || p.Name == "key"
			if secret && !p.Secret {
				t.Errorf("%s: parameter %s is not secret", name, p.Name)
			}
			if p.Default != "" && p.Required {
				t.Errorf("%s: parameter %s is required and has a default", name, p.Name)
			}
		}
		defaults := power.Params{}
		for _, p := range k.Params {
			if p.Required {
				defaults[p.Name] = "x"
				if p.Choices != nil {
					defaults[p.Name] = p.Choices[0]
				}
			}
		}
		if _, err := k.Check(defaults); err != nil {
			t.Errorf("%s: the defaults are refused: %v", name, err)
		}
	}
}

// Each power type of MAAS has a kind of its name, or the error names what takes its place.
func TestPowerTypesOfMAAS(t *testing.T) {
	r := kinds.All()
	for _, name := range []string{"amt", "apc", "dli", "eaton", "raritan", "lxd", "proxmox", "ipmi", "manual", "openbmc", "redfish", "virsh", "webhook"} {
		if _, err := r.Kind(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"hmc", "hmcz", "moonshot", "mscm", "msftocs", "recs_box", "sm15k", "ucsm", "wedge", "vmware", "nova", "fence_cdu", "ether_wake", "powerkvm"} {
		_, err := r.Kind(name)
		if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "use ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Kind("telepathy"); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), `"webhook"`) {
		t.Errorf("an unknown type: %v", err)
	}
}

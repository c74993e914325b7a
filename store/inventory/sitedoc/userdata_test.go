package sitedoc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// User data of a document is stored, written again only if it differs, shown in no report and no export, and removed by a prune.
func TestUserData(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	const machines = "machines: [{hostname: web-1, interfaces: [{name: eth0, mac_address: '02:00:00:00:00:01'}]}]\ntags: [{name: gpu}]\n"
	apply := func(text string, prune bool, want ...string) {
		t.Helper()
		report, err := sitedoc.Apply(ctx, inv, parse(t, text), sitedoc.Options{Kinds: kinds, Prune: prune})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range report {
			text := fmt.Sprintf("%s %s %s %s%s", c.Op, c.Kind, c.Name, c.Before, c.After)
			if strings.Contains(text, "user data") {
				got = append(got, fmt.Sprintf("%s %s %s", c.Op, c.Kind, c.Name))
			}
			if strings.Contains(text, "hunter2") {
				t.Errorf("the report shows %s", c)
			}
		}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("changes %q, want %q", got, want)
		}
	}
	const all = machines + "user_data: [{data: '#cloud-config hunter2'}, {machine: web-1.maas, data: own}, {tag: gpu, data: tagged}]\n"
	apply(all, false, "create user data of the site", "create user data of machine web-1.maas", "create user data of tag gpu")
	apply(all, false)
	apply(machines+"user_data: [{data: other hunter2}]\n", false, "update user data of the site")
	data, err := inv.UserData.Get(ctx, inventory.BootTarget{})
	if err != nil || string(data) != "other hunter2" {
		t.Errorf("stored %q, %v", data, err)
	}
	doc, err := sitedoc.Export(ctx, inv)
	if err != nil {
		t.Fatal(err)
	}
	if doc.UserData != nil {
		t.Errorf("the export has user data: %+v", doc.UserData)
	}
	apply("user_data: [{data: other hunter2}]\n", true, "delete user data of tag gpu", "delete user data of machine web-1.maas")
	_, err = sitedoc.Apply(ctx, inv, parse(t, "user_data: [{machine: web-1.maas}]\n"), sitedoc.Options{Kinds: kinds})
	if err == nil || !strings.Contains(err.Error(), "user data of machine web-1.maas") {
		t.Errorf("empty data: %v", err)
	}
}

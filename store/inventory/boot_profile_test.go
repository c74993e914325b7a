package inventory_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
)

func disk(name string) *pxe.Profile { return &pxe.Profile{Name: name, Kind: pxe.Local} }

// The most particular profile that there is counts; each that is taken back uncovers the next.
func TestBootProfilesOfTagsAndSubnets(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24")}))
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1)}}))
		first := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "zebra"}))
		second := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "ant"}))
		place := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "room"}))
		for _, tag := range []inventory.Tag{first, second} {
			_, _, err := inv.Tags.MarkNodes(ctx, tag.ID, []int64{m.ID}, nil)
			ok(t, err)
		}
		added, _, err := inv.Tags.MarkSubnets(ctx, place.ID, []int64{s.ID, s.ID}, nil)
		if err != nil || added != 1 {
			t.Errorf("%d subnets were tagged, %v", added, err)
		}
		targets := []inventory.BootTarget{{MachineID: m.ID}, {TagID: first.ID}, {TagID: second.ID}, {SubnetID: s.ID}, {TagID: place.ID}, {}}
		rules := []string{"the machine's own", "tag zebra", "tag ant", "subnet 10.0.0.0/24", "tag room of subnet 10.0.0.0/24", "the site's default", ""}
		for i, of := range targets {
			ok(t, inv.Profiles.Set(ctx, of, disk("old")))
			ok(t, inv.Profiles.Set(ctx, of, disk(fmt.Sprint("profile", i))))
		}
		if all := must[[]inventory.BootProfile](t)(inv.Profiles.List(ctx)); len(all) != 6 || all[0].Name != "" || all[1].Name != "zebra" || all[5].Name != "node1.maas" {
			t.Errorf("listed %+v", all)
		}
		for i, rule := range rules {
			known := model(t, inv)
			got, err := sitetest.BootsOf(t, known).Resolve(ctx, pxe.Request{MAC: mac(1), Addr: addr("10.0.0.9")})
			if want := fmt.Sprint("profile", i); rule != "" && (err != nil || got.Name != want) {
				t.Errorf("boots %q, %v; want %q", got.Name, err, want)
			}
			if why := plan.BootRule(known, &known.Machines[0], &known.Subnets[0]); why != rule {
				t.Errorf("decided by %q, want %q", why, rule)
			}
			if rule != "" {
				ok(t, inv.Profiles.Set(ctx, targets[i], nil))
				ok(t, inv.Profiles.Set(ctx, targets[i], nil))
				if p := must[*pxe.Profile](t)(inv.Profiles.Get(ctx, targets[i])); p != nil {
					t.Errorf("%+v still has %+v", targets[i], p)
				}
			}
		}
	})
}

// Profiles go with what they are of.
func TestBootProfilesGoWithTheirTargets(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := inventory.As(t.Context(), inventory.Actor{User: "ada", Doing: func() string { return "test" }})
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24")}))
		tag := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "lab"}))
		ok(t, inv.Profiles.Set(ctx, inventory.BootTarget{SubnetID: s.ID}, disk("a")))
		ok(t, inv.Profiles.Set(ctx, inventory.BootTarget{TagID: tag.ID}, disk("b")))
		_, _, err := inv.Tags.MarkSubnets(ctx, tag.ID, []int64{s.ID}, nil)
		ok(t, err)
		ok(t, inv.Subnets.Delete(ctx, s.ID))
		ok(t, inv.Tags.Delete(ctx, tag.ID))
		m := model(t, inv)
		if len(m.Profiles)+len(m.SubnetTags) > 0 {
			t.Errorf("left %v, %v", m.Profiles, m.SubnetTags)
		}
	})
}

// A profile whose files machines could not boot is refused, with the reason.
func TestProfileMedia(t *testing.T) {
	reason := errors.New("os.iso: not an ISO 9660 image; put a whole ISO image there")
	db, _ := openBoth(t, "memory:")
	inv := must[*inventory.Inventory](t)(inventory.Open(t.Context(), db, inventory.Config{CheckMedia: func(p pxe.Profile) error {
		if p.Kind == pxe.ISO {
			return reason
		}
		return nil
	}}))
	ok(t, inv.Profiles.Set(t.Context(), inventory.BootTarget{}, &pxe.Profile{Kind: pxe.Local}))
	err := inv.Profiles.Set(t.Context(), inventory.BootTarget{}, &pxe.Profile{Kind: pxe.ISO, Image: "os.iso"})
	if err == nil || !strings.Contains(err.Error(), reason.Error()) {
		t.Errorf("%v, want %v", err, reason)
	}
}

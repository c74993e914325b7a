package inventory_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

func TestParseDHCPOptions(t *testing.T) {
	for text, want := range map[string]string{
		"option ntp-servers 192.0.2.1, 192.0.2.2;":                       "4[42:c0000201c0000202]",
		"option 150 192.0.2.9; # the phones' server":                     "4[150:c0000209]",
		"option 43 01:04:0a:00:00:01\noption interface-mtu 9000":         "4[43:01040a000001 26:2328]",
		`option domain-name "lab; one"`:                                  "4[15:6c61623b206f6e65]",
		"option domain-search a.example, b.example":                      "4[119:0161076578616d706c65000162076578616d706c6500]",
		"option ip-forwarding off;option dhcp6.name-servers 2001:db8::1": "4[19:00] 6[23:20010db8000000000000000000000001]",
		"option 51 3600":                               "the server makes it itself",
		"option dhcp6.1 00":                            "the server makes it itself",
		"option nonsense 1":                            "there is no option of this name",
		"next-server 192.0.2.1;":                       "is not understood",
		"option ntp-servers 2001::1":                   "not an address of its family",
		"option interface-mtu 70000":                   "not a number that fits in 2 bytes",
		`option domain-name "x`:                        "quote is not closed",
		"option 42 1.1.1.1;option ntp-servers 1.1.1.1": "is there twice",
		"default-lease-time 7200;":                     "2h0m0s",
		"option 42 1.1.1.1; default-lease-time 60":     "4[42:01010101] 1m0s",
		"default-lease-time 0":                         "not a number of seconds",
		"default-lease-time 4294967295":                "not a number of seconds",
		"default-lease-time 1;default-lease-time 2":    "is there twice",
		"# nothing":                                    "no option is set",
		"option 200 zz":                                "neither text in quotes",
	} {
		o, err := inventory.ParseDHCPOptions(text)
		got := strings.Trim(show("4", o.V4)+" "+show("6", o.V6), " ")
		if o.LeaseTime > 0 {
			got = strings.TrimSpace(got + " " + o.LeaseTime.String())
		}
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q:\n got  %s\n want %s", text, got, want)
		}
	}
}

func show(family string, opts dhcpsrv.Options) string {
	var out []string
	for _, o := range opts {
		out = append(out, fmt.Sprintf("%d:%x", o.Code, o.Data))
	}
	if out == nil {
		return ""
	}
	return family + fmt.Sprint(out)
}

// What can be stored, a DHCP server can serve from.
func servable(t *testing.T, text string) {
	t.Helper()
	o, err := inventory.ParseDHCPOptions(text)
	if err != nil || len(text) > 16<<10 {
		return
	}
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Update(dhcpsrv.Snapshot{Options: o.V4, Options6: o.V6}); err != nil {
		t.Errorf("%q: %v", text, err)
	}
}

func TestEveryDHCPOptionIsServable(t *testing.T) {
	for code := range 256 {
		servable(t, fmt.Sprintf("option %d 192.0.2.1; option dhcp6.%d 00:01", code, code))
		servable(t, fmt.Sprintf("option dhcp6.%d \"x\"", code))
		servable(t, fmt.Sprintf("option %d 1", code))
	}
}

func FuzzDHCPOptions(f *testing.F) {
	f.Add("option 150 192.0.2.1; option dhcp6.23 2001:db8::1")
	f.Add("option domain-search a.b, c;\noption 43 \"x\" # y")
	f.Fuzz(servable)
}

func TestSnippetsArePlanned(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		s := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24")}))
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1)}}))
		r := must[[]ipam.Range](t)(inv.Ranges.List(ctx))[0]
		set := func(value string, to inventory.Snippet) inventory.Snippet {
			to.Name, to.Value, to.Enabled = "x", value, true
			return must[inventory.Snippet](t)(inv.Snippets.Create(ctx, to))
		}
		set("option 42 10.0.0.1", inventory.Snippet{})
		set("option 42 10.0.0.9", inventory.Snippet{})
		set("option 43 01", inventory.Snippet{SubnetID: s.ID})
		set("option 43 02", inventory.Snippet{RangeID: r.ID})
		off := set("option 43 03", inventory.Snippet{NodeID: m.ID})
		plan := func() string {
			model := must[*inventory.Model](t)(inv.Model(ctx))
			snap := plan.DHCP(model, model.Racks[0])
			out := show("site", snap.Options) + show(" subnet", snap.Subnets[0].Options) + show(" pool", snap.Subnets[0].Pools[0].Options)
			for _, r := range snap.Reservations {
				out += show(" "+r.Name, r.Options)
			}
			return out
		}
		if got, want := plan(), "site[42:0a000009] subnet[43:01] pool[43:02] node1-eth0[43:03]"; got != want {
			t.Errorf("planned %s, want %s", got, want)
		}
		off.Enabled = false
		ok(t, errOf(inv.Snippets.Update(ctx, off)))
		if got := plan(); strings.Contains(got, "node1") {
			t.Errorf("planned %s", got)
		}
		_, err := inv.Snippets.Create(ctx, inventory.Snippet{Name: "x", Value: "option dhcp6.23 2001:db8::1", RangeID: r.ID})
		refused(t, err, "is a subnet of IPv4")
		_, err = inv.Snippets.Create(ctx, inventory.Snippet{Name: "x", Value: "option 42 10.0.0.1", RangeID: r.ID, SubnetID: s.ID})
		refused(t, err, "belongs to one of")
		ok(t, inv.Machines.Delete(ctx, m.ID))
		if all := must[[]inventory.Snippet](t)(inv.Snippets.List(ctx)); len(all) != 4 {
			t.Errorf("%d snippets are left", len(all))
		}
	})
}

func TestTagsAndGateways(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24"), Gateway: addr("10.0.0.1")}))
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1)}}))
		tag := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "gpu", KernelOpts: "iommu=on"}))
		_, err := inv.Tags.Create(ctx, inventory.Tag{Name: "gpu"})
		refused(t, err, "there is already a tag with name gpu")
		_, _, err = inv.Tags.MarkNodes(ctx, tag.ID, []int64{m.ID, m.ID}, nil)
		ok(t, err)
		link := must[ipam.Allocation](t)(inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: s.ID}))
		ok(t, inv.SetDefaultGateway(ctx, m.ID, link.ID))
		ok(t, inv.LockMachine(ctx, m.ID, true))
		ok(t, inv.Settings.Set(ctx, setting.BootProfile, `{"kernel":"k","cmdline":"quiet"}`))
		m = must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID))
		if fmt.Sprint(m.Tags) != "[gpu]" || m.Gateway4 != link.ID || !m.Locked {
			t.Errorf("read %+v", m)
		}
		refused(t, inv.Machines.Delete(ctx, m.ID), "it is locked")
		if p, err := sitetest.BootsOf(t, model(t, inv)).Resolve(ctx, pxe.Request{MAC: mac(1)}); err != nil || p.Cmdline != "quiet iommu=on" {
			t.Errorf("command line %q, %v", p.Cmdline, err)
		}
		refused(t, inv.SetDefaultGateway(ctx, m.ID, link.ID+99), "does not exist")
		ok(t, inv.Unlink(ctx, link.ID))
		ok(t, inv.Tags.Delete(ctx, tag.ID))
		if m = must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID)); m.Gateway4 != 0 || m.Tags != nil {
			t.Errorf("left %+v", m)
		}
	})
}

package inventory_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// registration is a rack's report of its addresses on eth0, on which it serves.
func registration(rack string, addresses ...string) inventory.Registration {
	link := inventory.RackLink{Name: "eth0"}
	for _, a := range addresses {
		link.Addrs = append(link.Addrs, prefix(a))
	}
	return inventory.Registration{Rack: rack, Serve: []string{"eth0"}, Links: []inventory.RackLink{link}}
}

// has returns the subnets of the site, the addresses of a rack that count, and its open proposals.
func has(t *testing.T, inv *inventory.Inventory, rack string) (subnets, links, open string) {
	t.Helper()
	ctx := t.Context()
	var s, l, o []string
	for _, n := range must[[]ipam.Subnet](t)(inv.Subnets.List(ctx)) {
		s = append(s, n.Prefix.String())
	}
	r := must[inventory.Rack](t)(inv.Racks.Find(ctx, rack))
	for _, link := range r.Links {
		for _, a := range link.Addrs {
			l = append(l, a.String())
		}
	}
	for _, p := range r.Proposals(must[inventory.Assignment](t)(inv.Enrolment.Assignment(ctx, rack))) {
		if !p.Ignored {
			o = append(o, p.Network.String())
		}
	}
	return strings.Join(s, " "), strings.Join(l, " "), strings.Join(o, " ")
}

// What a rack registers beyond what it was given makes no subnet and no address of the site: it
// waits for an administrator.
func TestNetworksThatARackWasNotGiven(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		register := func(reg inventory.Registration) {
			t.Helper()
			must[[]inventory.RackProposal](t)(inv.RegisterLinks(ctx, reg))
		}
		check := func(what, rack, subnets, links, open string) {
			t.Helper()
			s, l, o := has(t, inv, rack)
			if diff := cmp.Diff([]string{subnets, links, open}, []string{s, l, o}); diff != "" {
				t.Errorf("%s: subnets, links and proposals of %s (-want +got):\n%s", what, rack, diff)
			}
		}
		register(registration("first", "192.0.2.1/24"))
		check("the first rack of a site", "first", "192.0.2.0/24", "192.0.2.1/24", "")
		register(registration("first", "192.0.2.1/24", "198.51.100.1/24"))
		check("a network that it got later", "first", "192.0.2.0/24", "192.0.2.1/24", "198.51.100.0/24")

		claims := []string{"203.0.113.1/24", "192.0.2.7/24", "16.0.0.1/4", "1.2.3.4/0", "151.101.2.132/32", "fe80::1/64", "2001:db8::1/16"}
		register(registration("second", claims...))
		check("another rack", "second", "192.0.2.0/24", "fe80::1/64",
			"203.0.113.0/24 192.0.2.0/24 16.0.0.0/4 0.0.0.0/0 151.101.2.132/32 2001::/16")
		a := must[inventory.Assignment](t)(inv.Enrolment.Assignment(ctx, "second"))
		if !a.Empty() || a.Serves(netip.MustParseAddr("192.0.2.9")) {
			t.Errorf("it was given %+v", a)
		}

		// An administrator accepts one, and names the rack at a VLAN.
		must[[]netip.Prefix](t)(inv.Enrolment.Accept(ctx, "second", prefix("203.0.113.0/24")))
		check("accepted", "second", "192.0.2.0/24 203.0.113.0/24", "203.0.113.1/24 fe80::1/64", "192.0.2.0/24 16.0.0.0/4 0.0.0.0/0 151.101.2.132/32 2001::/16")
		s := must[ipam.Subnet](t)(inv.SubnetFor(ctx, netip.MustParseAddr("203.0.113.9")))
		if v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID)); v.PrimaryRack != "second" || !v.DHCP {
			t.Errorf("VLAN of the accepted network: %+v", v)
		}
		s = must[ipam.Subnet](t)(inv.SubnetFor(ctx, netip.MustParseAddr("192.0.2.9")))
		v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID))
		v.SecondaryRack = "second"
		v = must[ipam.VLAN](t)(inv.VLANs.Update(ctx, v))
		check("named by a VLAN", "second", "192.0.2.0/24 203.0.113.0/24", "203.0.113.1/24 192.0.2.7/24 fe80::1/64", "16.0.0.0/4 0.0.0.0/0 151.101.2.132/32 2001::/16")
		v.SecondaryRack = ""
		must[ipam.VLAN](t)(inv.VLANs.Update(ctx, v))
		check("no longer named", "second", "192.0.2.0/24 203.0.113.0/24", "203.0.113.1/24 fe80::1/64", "192.0.2.0/24 16.0.0.0/4 0.0.0.0/0 151.101.2.132/32 2001::/16")

		must[[]netip.Prefix](t)(inv.Enrolment.Ignore(ctx, "second"))
		check("ignored", "second", "192.0.2.0/24 203.0.113.0/24", "203.0.113.1/24 fe80::1/64", "")
		register(registration("second", claims...))
		check("registered again", "second", "192.0.2.0/24 203.0.113.0/24", "203.0.113.1/24 fe80::1/64", "")
		_, err := inv.Enrolment.Accept(ctx, "second", prefix("10.0.0.0/8"))
		refused(t, err, "10.0.0.0/8 is none that it proposes")
		_, err = inv.Enrolment.Accept(ctx, "second")
		refused(t, err, "has nothing to accept")

		// Taken back, its addresses are free.
		must[inventory.Rack](t)(inv.Enrolment.Assign(ctx, "second", func(r *inventory.Rack) error { r.Networks = nil; return nil }))
		check("taken back, but for its VLAN", "second", "192.0.2.0/24 203.0.113.0/24", "203.0.113.1/24 fe80::1/64", "")
		ok(t, inv.Enrolment.Dismiss(ctx, "second"))
		check("dismissed", "second", "192.0.2.0/24 203.0.113.0/24", "fe80::1/64", "203.0.113.0/24")
		var reports int
		for _, e := range must[[]inventory.Event](t)(inv.Events.Find(ctx, inventory.EventFilter{Limit: 100})) {
			if strings.Contains(e.Description, "maas rack accept second 16.0.0.0/4") {
				reports++
			}
		}
		if reports != 1 {
			t.Errorf("a proposal was reported %d times, want once", reports)
		}
	})
}

// A token gives networks, or those of the host that joins with it, once.
func TestTokensGiveNetworks(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		must[[]inventory.RackProposal](t)(inv.RegisterLinks(ctx, registration("first", "192.0.2.1/24")))
		for name, token := range map[string]inventory.RackToken{
			"given": {Networks: []netip.Prefix{prefix("10.0.0.0/8"), prefix("10.1.0.0/16")}, BMCNetworks: []netip.Prefix{prefix("10.9.0.0/16")}},
			"open":  {Open: true},
		} {
			token.Hash, token.Expires = name, certificate("", "").Expires
			must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, token))
			ok(t, inv.Enrolment.Admit(ctx, name, generation(1, name, name)))
		}
		must[[]inventory.RackProposal](t)(inv.RegisterLinks(ctx, registration("given", "10.1.2.1/24", "203.0.113.1/24")))
		if s, l, o := has(t, inv, "given"); s != "192.0.2.0/24 10.1.2.0/24" || l != "10.1.2.1/24" || o != "203.0.113.0/24" {
			t.Errorf("given: %q, %q, %q", s, l, o)
		}
		must[[]inventory.RackProposal](t)(inv.RegisterLinks(ctx, registration("open", "203.0.113.9/24", "16.0.0.1/4")))
		if s, l, o := has(t, inv, "open"); s != "192.0.2.0/24 10.1.2.0/24 203.0.113.0/24" || l != "203.0.113.9/24" || o != "16.0.0.0/4" {
			t.Errorf("open: %q, %q, %q", s, l, o)
		}
		must[[]inventory.RackProposal](t)(inv.RegisterLinks(ctx, registration("open", "203.0.113.9/24", "198.51.100.1/24")))
		if _, l, o := has(t, inv, "open"); l != "203.0.113.9/24" || o != "198.51.100.0/24" {
			t.Errorf("open, later: %q, %q", l, o)
		}
		if bits, reached := must[inventory.Assignment](t)(inv.Enrolment.Assignment(ctx, "given")).Reaches(netip.MustParseAddr("10.9.1.1")); !reached || bits != 16 {
			t.Errorf("BMC network: %d, %v", bits, reached)
		}
		many := inventory.Registration{Rack: "many", Links: make([]inventory.RackLink, 300)}
		_, err := inv.RegisterLinks(ctx, many)
		refused(t, err, "links are 300, more than the 256")
	})
}

// A rotation makes other keys, and names them.
func TestKeysOfARackAreRotated(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.DB, _ *inventory.Inventory) {
		ctx := t.Context()
		inv := must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{Key: bytes.Repeat([]byte{1}, 32)}))
		d := must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "prod.example", Signed: true}))
		k := must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "updates"}))
		before := inv.SigningKey(d)
		renewed := must[[]inventory.TSIGKey](t)(inv.Enrolment.Rotate(ctx, []string{"prod.example"}, []string{"updates"}))
		after := must[inventory.Domain](t)(inv.Domains.Get(ctx, d.ID))
		if inv.SigningKey(after) == before || inv.SigningKey(after) == "" {
			t.Error("the zone is signed with the old key")
		}
		keys, err := inv.DNSKeys(must[*inventory.Model](t)(inv.Model(ctx)))
		ok(t, err)
		if len(renewed) != 1 || renewed[0].Secret == k.Secret || len(keys) != 1 || keys[0].Secret != renewed[0].Secret {
			t.Error("the TSIG key has its old secret, or not the one that was returned")
		}
		_, err = inv.Enrolment.Rotate(ctx, []string{"prod.example", "absent.example"}, nil)
		refused(t, err, "absent.example")
		if again := must[inventory.Domain](t)(inv.Domains.Get(ctx, d.ID)); again.KeyNumber != 1 {
			t.Errorf("a rotation that failed left key number %d", again.KeyNumber)
		}
	})
}

// The racks that a domain names follow a rename. One that is deleted stays: else all would get the
// keys of a domain whose last rack it was.
func TestRacksOfADomain(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		a := must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "a"}))
		must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "b"}))
		d := must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "prod.example", Racks: []string{"b", "a", "a"}}))
		_, err := inv.Domains.Create(ctx, inventory.Domain{Name: "x.example", External: true, Racks: []string{"a"}})
		refused(t, err, "racks are for domains that are authoritative")
		a.Name = "new"
		a = must[inventory.Rack](t)(inv.Racks.Update(ctx, a))
		if d = must[inventory.Domain](t)(inv.Domains.Get(ctx, d.ID)); !slices.Equal(d.Racks, []string{"b", "new"}) {
			t.Errorf("after a rename: %v", d.Racks)
		}
		ok(t, inv.Racks.Delete(ctx, a.ID))
		if d = must[inventory.Domain](t)(inv.Domains.Get(ctx, d.ID)); !slices.Equal(d.Racks, []string{"b", "new"}) || d.ServedBy("a") || !d.ServedBy("b") {
			t.Errorf("after a deletion: %v", d.Racks)
		}
	})
}

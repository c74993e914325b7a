package inventory_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

func certificate(serial, rack string) inventory.RackCertificate {
	return inventory.RackCertificate{Serial: serial, Rack: rack, Expires: time.Now().Add(time.Hour)}
}

// generation is a certificate as it is when it is signed for a new rack.
func generation(n int64, serial, rack string) inventory.RackCertificate {
	c := certificate(serial, rack)
	c.Generation = n
	return c
}

func TestATokenLetsOneRackIn(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		west := must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "west"}))
		soon := time.Now().Add(time.Hour)
		token := must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h1", ZoneID: west.ID, Expires: soon}))
		must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h2", Rack: "rack-2", Expires: soon}))
		short := must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h3", Expires: time.Now().Add(5 * time.Millisecond)}))
		_, err := inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h4", Expires: time.Now().Add(-time.Second)})
		refused(t, err, "is in the past")

		ok(t, inv.Enrolment.Admit(ctx, "h1", generation(1, "1", "rack-1")))
		if r := must[inventory.Rack](t)(inv.Racks.Find(ctx, "rack-1")); r.ZoneID != west.ID {
			t.Errorf("zone %d, want that of the token", r.ZoneID)
		}
		err = inv.Enrolment.Admit(ctx, "h1", generation(1, "2", "rack-3"))
		refused(t, err, "for rack rack-1, and is good only once")
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v is no fs.ErrPermission", err)
		}
		refused(t, inv.Enrolment.Admit(ctx, "unknown", generation(1, "2", "rack-3")), "not known here, or was revoked")
		refused(t, inv.Enrolment.Admit(ctx, "h2", generation(1, "2", "rack-3")), "its token is for rack rack-2")
		time.Sleep(time.Until(short.Expires.Add(time.Millisecond)))
		refused(t, inv.Enrolment.Admit(ctx, "h3", generation(1, "2", "rack-3")), "its token expired at")
		ok(t, inv.Enrolment.Admit(ctx, "h2", generation(1, "2", "rack-2")))
		must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h5", Expires: soon}))
		refused(t, inv.Enrolment.Admit(ctx, "h5", generation(1, "3", "rack-1")), "enrolled already; choose another with --name or, if this one takes its place, first: maas rack revoke rack-1")

		must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "beside"}))
		refused(t, inv.Enrolment.Admit(ctx, "h5", generation(1, "3", "beside")), "did not enrol, as one in the process of its region; choose another with --name")
		must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h6", Rack: "beside", Expires: soon}))
		ok(t, inv.Enrolment.Admit(ctx, "h6", generation(1, "3", "beside")))

		ok(t, inv.RackTokens.Delete(ctx, token.ID))
		if all := must[[]inventory.RackToken](t)(inv.RackTokens.List(ctx)); len(all) != 4 || all[0].UsedBy != "rack-2" {
			t.Errorf("tokens: %+v", all)
		}
	})
}

func TestRevokedRacksStayOut(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h1", Expires: time.Now().Add(time.Hour)}))
		ok(t, inv.Enrolment.Admit(ctx, "h1", generation(1, "1", "rack-1")))
		ok(t, inv.Enrolment.Renew(ctx, generation(1, "1", "rack-1"), certificate("2", "rack-1")))
		for _, serial := range []string{"1", "2"} {
			if name, err := inv.Enrolment.RackOf(ctx, certificate(serial, "rack-1")); name != "rack-1" || err != nil {
				t.Errorf("%s: %q, %v", serial, name, err)
			}
		}
		_, err := inv.Enrolment.RackOf(ctx, certificate("3", "rack-1"))
		refused(t, err, "not known here")
		ok(t, inv.Enrolment.Revoke(ctx, "rack-1"))
		_, err = inv.Enrolment.RackOf(ctx, certificate("2", "rack-1"))
		refused(t, err, "rack rack-1 is refused: its certificate was revoked at")
		refused(t, inv.Enrolment.Renew(ctx, certificate("2", "rack-1"), certificate("4", "rack-1")), "its certificate was revoked")
		if err := inv.Enrolment.Revoke(ctx, "rack-1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("again: %v", err)
		}

		// Another host takes the name: its certificate is no use to the one that was shut out.
		must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h2", Expires: time.Now().Add(time.Hour)}))
		next := must[int64](t)(inv.Enrolment.Examine(ctx, "h2", "rack-1"))
		if next != 3 {
			t.Errorf("the next generation is %d, want 3", next)
		}
		ok(t, inv.Enrolment.Admit(ctx, "h2", generation(next, "5", "rack-1")))
		refused(t, inv.Enrolment.Renew(ctx, certificate("2", "rack-1"), certificate("6", "rack-1")), "its certificate was revoked")
		refused(t, inv.Enrolment.Renew(ctx, certificate("5", "rack-2"), certificate("6", "rack-2")), "its certificate is revoked")
		ok(t, inv.Enrolment.Renew(ctx, certificate("5", "rack-1"), certificate("6", "rack-1")))
	})
}

// Of two hosts with one identity the second to renew shows a certificate that was superseded, and
// both are shut out. A rack that lost its new certificate before it used it is no copy.
func TestCopiedIdentitiesAreShutOut(t *testing.T) {
	type step struct {
		serial string // shown
		renew  string // "" = the rack connects
		wrong  string // "" = accepted
	}
	const copied = "two hosts have its identity"
	for name, steps := range map[string][]step{
		"renews and connects":           {{"a", "", ""}, {"a", "b", ""}, {"b", "", ""}, {"b", "c", ""}, {"c", "", ""}},
		"loses the new one":             {{"a", "", ""}, {"a", "b", ""}, {"a", "", ""}, {"a", "c", ""}, {"c", "", ""}},
		"the copy connects later":       {{"a", "b", ""}, {"b", "", ""}, {"a", "", copied}, {"b", "", "was revoked"}},
		"the copy renews later":         {{"a", "b", ""}, {"b", "", ""}, {"a", "c", copied}, {"b", "c", "was revoked"}},
		"the copy renews first":         {{"a", "b", ""}, {"b", "", ""}, {"b", "c", ""}, {"c", "", ""}, {"a", "d", copied}, {"c", "", "was revoked"}},
		"both renew before either uses": {{"a", "b", ""}, {"a", "c", ""}, {"c", "", ""}, {"b", "", copied}, {"c", "", "was revoked"}},
		"an old copy":                   {{"a", "b", ""}, {"b", "", ""}, {"b", "c", ""}, {"c", "", ""}, {"b", "", copied}},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
				ctx := t.Context()
				must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h", Expires: time.Now().Add(time.Hour)}))
				ok(t, inv.Enrolment.Admit(ctx, "h", generation(1, "a", "rack-1")))
				for i, s := range steps {
					var err error
					if s.renew == "" {
						_, err = inv.Enrolment.RackOf(ctx, certificate(s.serial, "rack-1"))
					} else {
						err = inv.Enrolment.Renew(ctx, certificate(s.serial, "rack-1"), certificate(s.renew, "rack-1"))
					}
					if s.wrong == "" {
						ok(t, err)
						continue
					}
					refused(t, err, s.wrong)
					if !errors.Is(err, fs.ErrPermission) {
						t.Errorf("step %d: %v is no fs.ErrPermission", i, err)
					}
				}
				var reported bool
				for _, e := range must[[]inventory.Event](t)(inv.Events.Find(ctx, inventory.EventFilter{Limit: 10})) {
					reported = reported || strings.Contains(e.Description, "two hosts have the identity of rack rack-1")
				}
				if want := steps[len(steps)-1].wrong != ""; reported != want {
					t.Errorf("reported: %v, want %v", reported, want)
				}
			})
		})
	}
}

// After the restore of a backup a rack shows a certificate that the database does not have. It is
// taken if it is newer than all that are known; older ones and those of strangers are not.
func TestCertificatesAfterARestore(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h", Expires: time.Now().Add(time.Hour)}))
		ok(t, inv.Enrolment.Admit(ctx, "h", generation(4, "a", "rack-1")))
		_, err := inv.Enrolment.RackOf(ctx, generation(4, "x", "rack-1"))
		refused(t, err, "not known here")
		_, err = inv.Enrolment.RackOf(ctx, generation(9, "x", "rack-2"))
		refused(t, err, "not known here")
		if name, err := inv.Enrolment.RackOf(ctx, generation(6, "y", "rack-1")); name != "rack-1" || err != nil {
			t.Errorf("%q, %v", name, err)
		}
		ok(t, inv.Enrolment.Renew(ctx, generation(6, "y", "rack-1"), certificate("z", "rack-1")))
		_, err = inv.Enrolment.RackOf(ctx, generation(4, "a", "rack-1"))
		refused(t, err, "two hosts have its identity")
	})
}

func TestSiteCAIsMadeOnceAndSealed(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		made := 0
		newCA := func() (cert, key []byte, err error) { made++; return []byte("cert"), []byte("key"), nil }
		for range 2 {
			cert, key, err := inv.Enrolment.CA(t.Context(), newCA)
			if string(cert) != "cert" || string(key) != "key" || err != nil {
				t.Errorf("%q, %q, %v", cert, key, err)
			}
		}
		if made != 1 {
			t.Errorf("made %d times", made)
		}
	})
}

func TestFactsCountOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		for _, step := range []struct {
			outbox string
			seqs   []uint64
			skip   int
		}{
			{"a", []uint64{1, 2, 3}, 0}, {"a", []uint64{1, 2, 3}, 3}, {"a", []uint64{2, 3, 4, 7}, 2}, {"a", []uint64{5}, 1},
			{"b", []uint64{1}, 0}, {"b", []uint64{1, 2}, 1},
		} {
			skip, err := inv.NewFacts(t.Context(), "rack-1", step.outbox, step.seqs)
			if skip != step.skip || err != nil {
				t.Errorf("%v: skips %d, %v", step, skip, err)
			}
		}
		failed := errors.New("not recorded")
		err := inv.Atomically(t.Context(), func(ctx context.Context) error {
			_, err := inv.NewFacts(ctx, "rack-1", "b", []uint64{3})
			return errors.Join(err, failed)
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if skip, err := inv.NewFacts(t.Context(), "rack-1", "b", []uint64{3}); skip != 0 || err != nil {
			t.Errorf("after a transaction that failed: %d, %v", skip, err)
		}
	})
}

func TestRegionsAreListedWhileTheyLive(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		ok(t, inv.Regions.Register(ctx, inventory.Region{Name: "a", Addresses: []string{"192.0.2.1:5250"}}, time.Hour))
		ok(t, inv.Regions.Register(ctx, inventory.Region{Name: "b", Addresses: []string{"192.0.2.2:5250"}}, time.Hour))
		ok(t, inv.Regions.Register(ctx, inventory.Region{Name: "a", Addresses: []string{"192.0.2.3:5250"}}, time.Hour))
		var got [][]string
		for _, r := range must[[]inventory.Region](t)(inv.Regions.List(ctx)) {
			got = append(got, r.Addresses)
		}
		if diff := cmp.Diff([][]string{{"192.0.2.3:5250"}, {"192.0.2.2:5250"}}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		ok(t, inv.Regions.Register(ctx, inventory.Region{Name: "a"}, -time.Hour))
		if all := must[[]inventory.Region](t)(inv.Regions.List(ctx)); len(all) != 1 {
			t.Errorf("regions: %+v", all)
		}
	})
}

// Networks of racks that are not known to be joined get VLANs of their own, each served by its rack.
func TestRegisteredLinksAreServed(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		register := func(rack, address string, gateways ...netip.Addr) error {
			_, err := inv.RegisterLinks(ctx, inventory.Registration{
				Rack: rack, Trusted: true, Serve: []string{"eth0"}, Gateways: gateways,
				Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix(address)}}, {Name: "mgmt", Addrs: []netip.Prefix{prefix("198.51.100.9/24")}}},
			})
			return err
		}
		for range 2 { // a rack registers each time it connects
			ok(t, register("rack-1", "10.1.0.1/24", netip.MustParseAddr("10.1.0.254")))
			ok(t, register("rack-2", "10.2.0.1/24"))
			ok(t, register("rack-3", "10.1.0.2/24"))
		}
		subnets := must[[]ipam.Subnet](t)(inv.Subnets.List(ctx))
		if len(subnets) != 2 || subnets[0].VLANID == subnets[1].VLANID || subnets[0].Gateway != netip.MustParseAddr("10.1.0.254") {
			t.Fatalf("subnets: %+v", subnets)
		}
		for i, rack := range []string{"rack-1", "rack-2"} {
			if v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, subnets[i].VLANID)); v.PrimaryRack != rack || !v.DHCP {
				t.Errorf("VLAN of %s: %+v", subnets[i].Prefix, v)
			}
		}
		refused(t, register("rack-4", "10.1.0.3/16"), "interface eth0 of rack rack-4: inventory: it has the address 10.1.0.3/16, but the site has subnet 10.1.0.0/24 there")
	})
}

// All networks of an interface are one broadcast domain: an unknown one joins the VLAN of the known
// one, whenever and in whatever order it is found.
func TestFurtherNetworksJoinTheVLANOfTheirInterface(t *testing.T) {
	type step []string // addresses of eth0 at one registration
	for name, test := range map[string]struct {
		steps  []step
		shared bool // the first subnet of the site is on another interface
		want   []string
	}{
		"both at once":        {steps: []step{{"10.77.0.1/24", "10.79.0.1/24"}}, want: []string{"10.77.0.0/24", "10.79.0.0/24"}},
		"one after the other": {steps: []step{{"10.77.0.1/24"}, {"10.77.0.1/24", "10.79.0.1/24"}}, want: []string{"10.77.0.0/24", "10.79.0.0/24"}},
		"the new one first":   {steps: []step{{"10.77.0.1/24"}, {"10.79.0.1/24", "10.77.0.1/24", "10.80.0.1/25"}}, want: []string{"10.77.0.0/24", "10.79.0.0/24", "10.80.0.0/25"}},
		"not the first link":  {steps: []step{{"10.77.0.1/24"}, {"10.77.0.1/24", "10.79.0.1/24"}}, shared: true, want: []string{"10.77.0.0/24", "10.79.0.0/24"}},
		"virtual addresses":   {steps: []step{{"10.77.0.9/32", "169.254.3.4/16", "10.77.0.1/24", "10.9.9.9/32"}}, want: []string{"10.77.0.0/24"}},
		"beside IPv6":         {steps: []step{{"fe80::1/64", "fd77::1/64", "10.77.0.1/24"}, {"fd77::1/64", "10.77.0.1/24", "10.79.0.1/24"}}, want: []string{"10.77.0.0/24", "10.79.0.0/24"}},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
				ctx := t.Context()
				if test.shared {
					must[[]inventory.RackProposal](t)(inv.RegisterLinks(ctx, inventory.Registration{
						Rack: "other", Serve: []string{"eth0"}, Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("192.0.2.1/24")}}},
					}))
				}
				for _, s := range test.steps {
					link := inventory.RackLink{Name: "eth0"}
					for _, a := range s {
						link.Addrs = append(link.Addrs, prefix(a))
					}
					must[[]inventory.RackProposal](t)(inv.RegisterLinks(ctx, inventory.Registration{Rack: "rack", Trusted: true, Serve: []string{"eth0"}, Links: []inventory.RackLink{link}}))
				}
				// An IPv6 network is the operator's to add; without a VLAN it joins them, too.
				must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("fd77::/64")}))
				var got []string
				vlans := make(map[int64]bool)
				for _, s := range must[[]ipam.Subnet](t)(inv.Subnets.List(ctx)) {
					if s.Prefix == prefix("192.0.2.0/24") || s.Prefix.Addr().Is6() && !strings.Contains(name, "IPv6") {
						continue
					}
					vlans[s.VLANID] = true
					if s.Prefix.Addr().Is6() {
						continue
					}
					got = append(got, s.Prefix.String())
					if u := must[*ipam.Usage](t)(inv.Usage(ctx, s.ID)); len(u.Ranges) != 1 {
						t.Errorf("%s has ranges %v, want a dynamic one", s, u.Ranges)
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" || len(vlans) != 1 {
					t.Errorf("%d VLANs, subnets (-want +got):\n%s", len(vlans), diff)
				}
				for id := range vlans {
					if v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, id)); !v.DHCP || v.PrimaryRack != "rack" {
						t.Errorf("VLAN %+v", v)
					}
				}
			})
		})
	}
}

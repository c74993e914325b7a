package region

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/metadatarpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// site makes random changes of which what machines get follows. What is refused is fine.
type site struct {
	inv *inventory.Inventory
	r   *rand.Rand
	n   int
}

// one is any of a list, the zero T of none.
func one[T any](s *site, all []T, _ error) (v T) {
	if len(all) > 0 {
		v = all[s.r.IntN(len(all))]
	}
	return v
}

func (s *site) mac() net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, byte(s.r.IntN(12))} }

// changeNetwork changes what most leave to machines as it is.
func (s *site) changeNetwork(ctx context.Context) {
	subnets, err := s.inv.Subnets.List(ctx)
	subnet := one(s, subnets, err)
	vlans, err := s.inv.VLANs.List(ctx)
	vlan := one(s, vlans, err)
	switch s.r.IntN(12) {
	case 0:
		subnet.DenyProxy = !subnet.DenyProxy
		_, _ = s.inv.Subnets.Update(ctx, subnet)
	case 1:
		subnet.Unmanaged = !subnet.Unmanaged && s.n%3 == 0
		_, _ = s.inv.Subnets.Update(ctx, subnet)
	case 2:
		_, _ = s.inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/24", s.r.IntN(4))), VLANID: vlan.ID})
	case 3:
		if subnet.ID != subnets[0].ID {
			_ = s.inv.ForceDeleteSubnet(ctx, subnet.ID)
		}
	case 4:
		vlan.MTU, vlan.DHCP, vlan.PrimaryRack = 1500+s.n, true, fmt.Sprint("rack", s.r.IntN(2)*s.r.IntN(2))
		_, _ = s.inv.VLANs.Update(ctx, vlan)
	case 5:
		link := inventory.RackLink{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.%d/24", s.r.IntN(4), 1+s.r.IntN(3)))}}
		_, _ = s.inv.RegisterRack(ctx, inventory.Rack{Name: fmt.Sprint("rack", s.r.IntN(3)), Links: []inventory.RackLink{link}})
	case 6:
		if r, err := s.inv.Racks.Find(ctx, "rack2"); err == nil {
			_ = s.inv.Racks.Delete(ctx, r.ID)
		}
	case 7:
		_, _ = s.inv.ReservedIPs.Create(ctx, ipam.ReservedIP{SubnetID: subnets[0].ID, Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + s.n%90)}), MAC: s.mac()})
	case 8:
		_ = s.inv.Profiles.Set(ctx, inventory.BootTarget{SubnetID: subnet.ID}, &pxe.Profile{Name: fmt.Sprint("p", s.n), Kind: pxe.Local})
	case 9:
		machines, err := s.inv.Machines.List(ctx)
		_, _ = s.inv.Snippets.Create(ctx, inventory.Snippet{Name: fmt.Sprint("s", s.n), Value: "option root-path \"/r\";", Enabled: true, NodeID: one(s, machines, err).ID})
	case 11:
		machines, err := s.inv.Machines.List(ctx)
		_ = s.inv.UserData.Set(ctx, inventory.BootTarget{MachineID: one(s, machines, err).ID}, []byte(fmt.Sprint("data", s.n))) // of the site if there is no machine
	case 10:
		_ = s.inv.Settings.Set(ctx, setting.KernelOpts, fmt.Sprint("n=", s.n))
	}
}

func (s *site) changeMachine(ctx context.Context) {
	machines, err := s.inv.Machines.List(ctx)
	m := one(s, machines, err)
	subnets, err := s.inv.Subnets.List(ctx)
	switch s.r.IntN(5) {
	case 0, 1:
		_, _, _ = s.inv.Enlist(ctx, inventory.Enlistment{MAC: s.mac(), Hostname: fmt.Sprint("node", s.n)})
	case 2:
		if len(m.Interfaces) > 0 {
			_, _ = s.inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: one(s, subnets, err).ID})
		}
	case 3:
		m.Status = inventory.StatusReady
		m.Hostname, m.Profile = fmt.Sprint("host", s.n), &pxe.Profile{Name: "own", Kind: pxe.Local}
		_, _ = s.inv.Machines.Update(ctx, m)
	case 4:
		_ = s.inv.Machines.Delete(ctx, m.ID)
	}
}

// publishedTo returns the objects that a rack is sent for machines.
func publishedTo(t *testing.T, r *Region, rack string) map[string]string {
	out := map[string]string{}
	for _, topic := range []string{dhcprpc.Topic, pxerpc.Topic, metadatarpc.Topic} {
		u, err := r.rpc.State(rack).Next(t.Context(), topic, rpc.Position{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range u.Objects {
			out[topic+" "+o.Key] = string(o.Value)
		}
	}
	return out
}

// However a site changes, racks are sent the same as by a region that just started.
func TestChangesOfNetworksArePublishedWhole(t *testing.T) {
	dir := t.TempDir()
	open := func() *Region {
		r, err := Open(t.Context(), Config{Dir: dir, Kinds: power.NewRegistry(power.Manual())})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	r, other := open(), open()
	if _, err := r.inv.Bootstrap(t.Context(), inventory.Bootstrap{Rack: "rack0", Link: "eth0", Address: netip.MustParsePrefix("10.0.0.1/24")}); err != nil {
		t.Fatal(err)
	}
	s := &site{inv: r.inv, r: rand.New(rand.NewPCG(1, 2))}
	kept := 0
	for s.n < 150 {
		for range 1 + s.r.IntN(2) {
			s.n++
			if s.changeMachine(t.Context()); s.r.IntN(2) == 0 {
				s.changeNetwork(t.Context())
			}
		}
		before := r.published.nodes.inputs
		if err := r.publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := r.published.nodes.inputs; now != before && now.Equal(before) {
			kept++
		}
		other.rpc, other.published = rpc.NewRegion(rpc.RegionConfig{}), published{}
		if err := other.publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		racks, err := r.inv.Racks.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, rack := range racks {
			if d := cmp.Diff(publishedTo(t, other, rack.Name), publishedTo(t, r, rack.Name)); d != "" {
				t.Fatalf("after %d changes, %s (-whole +changed):\n%s", s.n, rack.Name, d)
			}
		}
	}
	if kept == 0 {
		t.Error("no change of networks left machines as they were")
	}
	t.Logf("%d changes of networks left machines as they were", kept)
}

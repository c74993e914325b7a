package inventory_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// walker makes random changes of every kind to a site. What is refused is fine.
type walker struct {
	t   *testing.T
	inv *inventory.Inventory
	r   *rand.Rand
	n   int
}

func pickOf[T any](w *walker, all []T, err error) (v T, ok bool) {
	if err != nil {
		w.t.Fatal(err)
	}
	if len(all) == 0 {
		return v, false
	}
	return all[w.r.IntN(len(all))], true
}

func (w *walker) machine() inventory.Machine {
	all, err := w.inv.Machines.List(w.t.Context())
	m, _ := pickOf(w, all, err)
	return m
}

func (w *walker) iface() ipam.Interface {
	m := w.machine()
	if len(m.Interfaces) == 0 {
		return ipam.Interface{}
	}
	return m.Interfaces[w.r.IntN(len(m.Interfaces))].Interface
}

func (w *walker) subnet() ipam.Subnet {
	all, err := w.inv.Subnets.List(w.t.Context())
	s, _ := pickOf(w, all, err)
	return s
}

func (w *walker) vlan() ipam.VLAN {
	all, err := w.inv.VLANs.List(w.t.Context())
	v, _ := pickOf(w, all, err)
	return v
}

// step makes one change.
func (w *walker) step() {
	ctx, inv := w.t.Context(), w.inv
	w.n++
	switch w.r.IntN(24) {
	case 0, 1, 2:
		_, _, _ = inv.Enlist(ctx, inventory.Enlistment{MAC: mac(w.r.IntN(60)), Firmware: "uefi"})
	case 3, 4, 5, 6:
		a := addr("10.0.0.191").As4()
		a[3] += byte(w.r.IntN(60))
		end := time.Now().Add(time.Hour)
		_ = inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(w.r.IntN(60)), Addr: addr(fmt.Sprintf("10.0.0.%d", a[3])), Hostname: fmt.Sprint("client", w.n), Expires: end, Ended: w.r.IntN(3) == 0})
	case 7:
		_ = inv.Machines.Delete(ctx, w.machine().ID)
	case 8, 9:
		_, _ = inv.LinkInterface(ctx, w.iface().ID, inventory.LinkRequest{Mode: ipam.LinkMode(w.r.IntN(4)), SubnetID: w.subnet().ID})
	case 10:
		_ = inv.ClaimAuto(ctx, w.machine().ID)
	case 11:
		_ = inv.ReleaseAuto(ctx, w.machine().ID)
	case 12:
		all, err := inv.Allocations(ctx, 0)
		if a, ok := pickOf(w, all, err); ok {
			_ = inv.Unlink(ctx, a.ID)
		}
	case 13:
		_, _ = inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix(fmt.Sprintf("10.%d.0.0/24", w.r.IntN(9))), VLANID: w.vlan().ID})
	case 14:
		if w.r.IntN(2) == 0 {
			_ = inv.ForceDeleteSubnet(ctx, w.subnet().ID)
		} else {
			_ = inv.Subnets.Delete(ctx, w.subnet().ID)
		}
	case 15:
		_, _ = inv.VLANs.Create(ctx, ipam.VLAN{VID: w.r.IntN(9)})
	case 16:
		_ = inv.VLANs.Delete(ctx, w.vlan().ID)
	case 17:
		i := w.iface()
		i.VLANID, i.Enabled = w.vlan().ID, !i.Enabled
		_, _ = inv.Interfaces.Update(ctx, i)
	case 18:
		m := w.machine()
		m.Hostname, m.Description = fmt.Sprint("host", w.n), "x"
		_, _ = inv.Machines.Update(ctx, m)
	case 19:
		_, _ = inv.Devices.Create(ctx, inventory.Device{ParentID: w.machine().ID, Interfaces: []inventory.Interface{nic(100 + w.n)}})
	case 20:
		_, _ = inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: w.subnet().ID, Owner: "ada", Hostname: fmt.Sprint("r", w.n)})
	case 21:
		_, _ = inv.Leases.Expire(ctx, time.Now().Add(time.Duration(w.r.IntN(2))*2*time.Hour))
	case 22:
		w.rare()
	case 23:
		_ = inv.Interfaces.Delete(ctx, w.iface().ID)
	}
}

// rare changes what is seldom changed.
func (w *walker) rare() {
	ctx, inv := w.t.Context(), w.inv
	switch w.r.IntN(8) {
	case 0:
		_, _ = inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: fmt.Sprint("z", w.n)})
	case 1:
		all, err := inv.Zones.List(ctx)
		if z, ok := pickOf(w, all, err); ok {
			_ = inv.Zones.Delete(ctx, z.ID)
		}
	case 2:
		_ = inv.Settings.Set(ctx, setting.DNSTTL, fmt.Sprint(w.n))
	case 3:
		all, err := inv.Domains.List(ctx)
		if d, ok := pickOf(w, all, err); ok {
			d.Name = fmt.Sprint("domain", w.n)
			_, _ = inv.Domains.Update(ctx, d)
		}
	case 4:
		_, _ = inv.RegisterRack(ctx, inventory.Rack{Name: "rack2", Links: []inventory.RackLink{{Name: fmt.Sprint("eth", w.n)}}})
	case 5:
		_, _ = inv.Records.Create(ctx, inventory.DNSRecord{Name: fmt.Sprint("r", w.n), Type: "A", Data: "10.0.0.9"})
	case 6:
		_ = inv.Profiles.Set(ctx, inventory.BootTarget{SubnetID: w.subnet().ID}, disk(fmt.Sprint("p", w.n)))
	case 7:
		s := w.subnet()
		s.DenyProxy = !s.DenyProxy
		if w.r.IntN(3) == 0 {
			s.DenyDNS, s.RDNS = !s.DenyDNS, ipam.RDNSMode(w.r.IntN(3))
		}
		_, _ = inv.Subnets.Update(ctx, s)
	}
}

// However the site changes, a model that follows the changes is the one that
// is read whole, and so are the plans made of it.
func TestFollowedIsTheModel(t *testing.T) {
	ignore := gocmp.Options{
		cmpopts.IgnoreUnexported(inventory.Model{}), // what it knows of its own fields
		cmpopts.IgnoreFields(ipam.Allocation{}, "Expires"), cmpopts.IgnoreFields(inventory.Rack{}, "LastSeen"),
		cmpopts.EquateEmpty(), cmpopts.EquateComparable(addr("::"), prefix("::/0")),
	}
	for seed := range uint64(2) {
		inv := openInventory(t, "memory:")
		must[ipam.Subnet](t)(inv.Bootstrap(t.Context(), inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24")}))
		w := &walker{t: t, inv: inv, r: rand.New(rand.NewPCG(seed, 7))}
		f := sitetest.NewFollower()
		for range 80 {
			for range 1 + w.r.IntN(3) {
				w.step()
			}
			f.Follow(t, inv)
			whole := model(t, inv)
			if d := gocmp.Diff(whole, f.Model, ignore); d != "" {
				t.Fatalf("seed %d, after %d changes (-whole +followed):\n%s", seed, w.n, d)
			}
			want := plan.DNS(whole)
			f.Rest.Sets = f.Sets()
			if d := gocmp.Diff(want, f.Rest, ignore); d != "" {
				t.Fatalf("seed %d, after %d changes, names (-whole +followed):\n%s", seed, w.n, d)
			}
			if d := gocmp.Diff(plan.DHCP(whole, whole.Racks[0]).Reservations, f.Reservations(), ignore); d != "" {
				t.Fatalf("seed %d, after %d changes, reservations (-whole +followed):\n%s", seed, w.n, d)
			}
		}
		t.Logf("seed %d: %d of 80 rounds were small", seed, f.Small)
	}
}

// BenchmarkFollow follows one machine's change among many.
func BenchmarkFollow(b *testing.B) {
	inv := fleet(b, 5000)
	m := model(b, inv)
	one := must[inventory.Machine](b)(inv.MachineByMAC(b.Context(), mac(77)))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		one.Description += "x"[:b.N%2]
		one = must[inventory.Machine](b)(inv.Machines.Update(b.Context(), one))
		b.StartTimer()
		_, err := inv.Follow(b.Context(), m)
		ok(b, err)
	}
}

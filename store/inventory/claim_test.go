package inventory_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// claiming makes a machine with two automatic links on a /29.
func claiming(t *testing.T) (*inventory.Inventory, inventory.Machine) {
	t.Helper()
	inv, ctx := openInventory(t, "memory:"), t.Context()
	s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/29")}))
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1), nic(2)}}))
	for _, i := range m.Interfaces {
		must[ipam.Allocation](t)(inv.LinkInterface(ctx, i.ID, inventory.LinkRequest{Mode: ipam.LinkAuto, SubnetID: s.ID}))
	}
	return inv, m
}

func addrsOfMachine(t *testing.T, inv *inventory.Inventory, id int64) []netip.Addr {
	t.Helper()
	m := must[inventory.Machine](t)(inv.Machines.Get(t.Context(), id))
	return m.Addrs()
}

// answers is a network on which some addresses are in use.
func answers(asked *[]netip.Addr, used ...string) inventory.CheckerFunc {
	return func(_ context.Context, s ipam.Subnet, a netip.Addr) (bool, error) {
		*asked = append(*asked, a)
		if !s.Prefix.Contains(a) {
			return false, errors.New("asked on the wrong subnet")
		}
		return slices.Contains(used, a.String()), nil
	}
}

func TestClaimAsksTheNetwork(t *testing.T) {
	inv, m := claiming(t)
	var asked []netip.Addr
	used, err := inv.ClaimAutoChecked(t.Context(), m.ID, answers(&asked, "10.0.0.1", "10.0.0.2", "10.0.0.4"))
	ok(t, err)
	if got := addrsOfMachine(t, inv, m.ID); !slices.Equal(got, []netip.Addr{addr("10.0.0.3"), addr("10.0.0.5")}) {
		t.Errorf("the machine has %v", got)
	}
	if want := []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2"), addr("10.0.0.4")}; !slices.Equal(used, want) {
		t.Errorf("in use: %v, want %v", used, want)
	}
	if len(asked) != 5 {
		t.Errorf("asked for %v: each address once", asked)
	}
	log := must[[]inventory.Event](t)(inv.Events.Last(t.Context(), 0, 10))
	if len(log) != 3 || !strings.Contains(log[0].Description, "address 10.0.0.1 was free and answered") {
		t.Errorf("events %+v", log)
	}
	// What is held is not asked for again.
	asked = nil
	_, err = inv.ClaimAutoChecked(t.Context(), m.ID, answers(&asked))
	if ok(t, err); len(asked) != 0 {
		t.Errorf("asked for %v", asked)
	}
}

func TestClaimWithoutAnAnswerIsKept(t *testing.T) {
	inv, m := claiming(t)
	_, err := inv.ClaimAutoChecked(t.Context(), m.ID, inventory.CheckerFunc(func(context.Context, ipam.Subnet, netip.Addr) (bool, error) {
		return true, errors.New("no rack is connected")
	}))
	ok(t, err)
	if got := addrsOfMachine(t, inv, m.ID); len(got) != 2 {
		t.Errorf("the machine has %v", got)
	}
}

// When all are in use, or the caller gives up, no address stays claimed.
func TestClaimThatFailsGivesBack(t *testing.T) {
	inv, m := claiming(t)
	_, err := inv.ClaimAutoChecked(t.Context(), m.ID, inventory.CheckerFunc(func(context.Context, ipam.Subnet, netip.Addr) (bool, error) { return true, nil }))
	var refused *ipam.RefusedError
	var full *ipam.ExhaustedError
	if !errors.As(err, &refused) && !errors.As(err, &full) {
		t.Errorf("err = %v", err)
	}
	if got := addrsOfMachine(t, inv, m.ID); len(got) != 0 {
		t.Errorf("the machine kept %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = inv.ClaimAutoChecked(ctx, m.ID, inventory.CheckerFunc(func(context.Context, ipam.Subnet, netip.Addr) (bool, error) {
		cancel()
		return false, nil
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if got := addrsOfMachine(t, inv, m.ID); len(got) != 0 {
		t.Errorf("the machine kept %v", got)
	}
}

// A reserved IP is used by no other machine and replaced by nothing.
func TestClaimOfReservedAddressInUse(t *testing.T) {
	inv, m := claiming(t)
	must[ipam.ReservedIP](t)(inv.ReservedIPs.Create(t.Context(), ipam.ReservedIP{Addr: addr("10.0.0.6"), MAC: mac(2)}))
	var asked []netip.Addr
	_, err := inv.ClaimAutoChecked(t.Context(), m.ID, answers(&asked, "10.0.0.6"))
	refused(t, err, "address 10.0.0.6: is in use (it answers on the network, and no other can take its place)")
	if got := addrsOfMachine(t, inv, m.ID); len(got) != 0 {
		t.Errorf("the machine kept %v", got)
	}
	_, err = inv.ClaimAutoChecked(t.Context(), m.ID, answers(&asked))
	ok(t, err)
	if got := addrsOfMachine(t, inv, m.ID); !slices.Contains(got, addr("10.0.0.6")) {
		t.Errorf("the machine has %v", got)
	}
}

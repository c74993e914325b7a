package discovery_test

import (
	"strings"
	"testing"

	"github.com/gomaas/maas/discovery"
)

func TestChoose(t *testing.T) {
	up := func(index int, name, kind string, master int) discovery.Interface {
		return discovery.Interface{Index: index, Name: name, Kind: kind, Master: master, Up: true, Ethernet: true}
	}
	down := up(20, "eth9", "", 0)
	down.Up = false
	loop := up(1, "lo", "", 0)
	loop.Loopback = true
	tunnel := up(21, "wg0", "wireguard", 0)
	tunnel.Ethernet = false
	links := []discovery.Interface{
		loop, down, tunnel,
		up(2, "eth0", "", 0), up(3, "eth0.5", "vlan", 0),
		up(4, "bond0", "bond", 0), up(5, "eth1", "", 4), up(6, "eth2", "", 4),
		up(7, "br0", "bridge", 0), up(8, "eth3", "", 7), // hardware in a bridge: seen there
		up(9, "br1", "bridge", 0), up(10, "vnet0", "tun", 9), up(11, "veth1", "veth", 9), // for virtual machines
		up(12, "br2", "bridge", 0), up(13, "bond1", "bond", 12), up(14, "eth4", "", 13),
		up(15, "veth0", "veth", 0), up(16, "tap0", "tun", 0), up(17, "dummy0", "dummy", 0),
	}
	var got []string
	for _, l := range discovery.Choose(links) {
		got = append(got, l.Name)
	}
	if want := "eth0 bond0 eth3 br1 bond1 veth0"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

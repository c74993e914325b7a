package pxerpc_test

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/pxerpc"
)

func TestTableResolves(t *testing.T) {
	known, named := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	var table pxerpc.Table
	resolve := func(mac net.HardwareAddr) string {
		p, err := table.Resolve(t.Context(), pxe.Request{MAC: mac})
		if errors.Is(err, pxe.ErrNoProfile) {
			return "none"
		}
		return p.Name
	}
	apply := func(c pxerpc.Content) {
		t.Helper()
		objects, err := pxerpc.Objects(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := table.Apply(t.Context(), objects); err != nil {
			t.Fatal(err)
		}
	}
	if got := resolve(known); got != "none" {
		t.Errorf("zero table: %s", got)
	}
	site := pxe.Profile{Name: "site", Kernel: "vmlinuz"}
	own := pxe.Profile{Name: "own", Kind: pxe.Local}
	apply(pxerpc.Content{Default: &site, Machines: []pxerpc.Machine{
		{MAC: known, Name: "a", Profile: &own}, {MAC: named, Name: "b"},
	}})
	for _, c := range []struct {
		mac  net.HardwareAddr
		want string
	}{{known, "own"}, {named, "site"}, {net.HardwareAddr{2, 0, 0, 0, 0, 3}, "site"}, {nil, "site"}} {
		if got := resolve(c.mac); got != c.want {
			t.Errorf("%v: got %s, want %s", c.mac, got, c.want)
		}
	}
	if m, ok := table.Machine(named); !ok || m.Name != "b" {
		t.Errorf("got %+v, %v", m, ok)
	}
	apply(pxerpc.Content{}) // deleted machines leave nothing behind
	if got := resolve(known); got != "none" {
		t.Errorf("after deletion: %s", got)
	}
}

// Following changes one by one leads where the whole does.
func TestChangeReplacesSome(t *testing.T) {
	one, two := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	var table pxerpc.Table
	before := []pxerpc.Machine{{MAC: one, Name: "one"}, {MAC: two, Name: "two"}}
	objects, err := pxerpc.Objects(pxerpc.Content{Machines: before})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	upserts, deletes, err := pxerpc.MachineObjects(before, []pxerpc.Machine{{MAC: two, Name: "second"}})
	if err != nil || len(upserts) != 1 || len(deletes) != 1 {
		t.Fatal(upserts, deletes, err)
	}
	var changed []rpc.Object
	for key, value := range upserts {
		changed = append(changed, rpc.Object{Key: key, Value: value})
	}
	changed = append(changed, rpc.Object{Key: deletes[0], Deleted: true}, rpc.Object{Key: "default", Value: []byte(`{"kind":"local"}`)})
	if err := table.Change(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if _, there := table.Machine(one); there {
		t.Error("the first machine is still there")
	}
	if m, _ := table.Machine(two); m.Name != "second" {
		t.Errorf("the second machine is %q", m.Name)
	}
	if _, err := table.Resolve(t.Context(), pxe.Request{MAC: one}); err != nil {
		t.Errorf("no default: %v", err)
	}
	if err := table.Change(t.Context(), []rpc.Object{{Key: "default", Value: []byte(`{"kind":"no such"}`)}}); err == nil {
		t.Error("a profile of no kind was accepted")
	}
}

func TestTableKnowsBootServers(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	objects, err := pxerpc.Objects(pxerpc.Content{Networks: []pxerpc.Network{
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Servers: []netip.Addr{one, two}},
		{Prefix: netip.MustParsePrefix("192.0.2.128/25"), Servers: []netip.Addr{two}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var table pxerpc.Table
	if got := table.Servers(one); got != nil {
		t.Errorf("an empty table knows %v", got)
	}
	if err := table.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	for client, want := range map[string]int{"192.0.2.9": 2, "::ffff:192.0.2.9": 2, "192.0.2.200": 1, "198.51.100.1": 0} {
		if got := table.Servers(netip.MustParseAddr(client)); len(got) != want {
			t.Errorf("%s: %v", client, got)
		}
	}
	if err := table.Change(t.Context(), []rpc.Object{{Key: "network/192.0.2.0/24", Deleted: true}}); err != nil {
		t.Fatal(err)
	}
	if got := table.Servers(one); got != nil {
		t.Errorf("after its removal: %v", got)
	}
}

// What the machine has goes before what its network has, and its options go to the end of either.
func TestTableResolvesByNetwork(t *testing.T) {
	own, plain := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	linux := func(name string) *pxe.Profile { return &pxe.Profile{Name: name, Kernel: "vmlinuz", Cmdline: "quiet"} }
	objects, err := pxerpc.Objects(pxerpc.Content{
		Default:  linux("site"),
		Machines: []pxerpc.Machine{{MAC: own, Profile: linux("own"), Options: "debug"}, {MAC: plain, Options: "debug"}},
		Networks: []pxerpc.Network{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Profile: linux("network")}, {Prefix: netip.MustParsePrefix("198.51.100.0/24")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var table pxerpc.Table
	if err := table.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mac           net.HardwareAddr
		addr          string
		name, cmdline string
	}{
		{own, "192.0.2.9", "own", "quiet debug"}, {plain, "::ffff:192.0.2.9", "network", "quiet debug"}, {nil, "192.0.2.9", "network", "quiet"},
		{plain, "198.51.100.1", "site", "quiet debug"}, {nil, "203.0.113.1", "site", "quiet"},
	} {
		p, err := table.Resolve(t.Context(), pxe.Request{MAC: c.mac, Addr: netip.MustParseAddr(c.addr)})
		if err != nil || p.Name != c.name || p.Cmdline != c.cmdline {
			t.Errorf("%v at %s: %q %q, %v", c.mac, c.addr, p.Name, p.Cmdline, err)
		}
	}
	// Variables: those of the network go before those of all, and a profile's before both.
	vars := func(proxy string) map[string]string { return map[string]string{"http_proxy": proxy} }
	mine := linux("own")
	mine.Vars = vars("")
	objects, err = pxerpc.Objects(pxerpc.Content{
		Default: linux("site"), Vars: vars("all"), Machines: []pxerpc.Machine{{MAC: own, Profile: mine}},
		Networks: []pxerpc.Network{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Vars: vars("here")}},
	})
	if err := cmp.Or(err, table.Apply(t.Context(), objects)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mac        net.HardwareAddr
		addr, want string
	}{{plain, "192.0.2.9", "here"}, {plain, "198.51.100.1", "all"}, {own, "192.0.2.9", ""}} {
		p, err := table.Resolve(t.Context(), pxe.Request{MAC: c.mac, Addr: netip.MustParseAddr(c.addr)})
		if got, set := p.Vars["http_proxy"]; err != nil || !set || got != c.want {
			t.Errorf("%v at %s: the proxy is %q, %v, want %q", c.mac, c.addr, got, err, c.want)
		}
	}
	// The options of a machine and the variables reach the entries of a menu, and racks keep their files.
	menu := &pxe.Profile{Name: "lab", Kind: pxe.Menu, Entries: []pxe.MenuEntry{{Profile: "a"}}, Profiles: []pxe.Profile{{Name: "a", Kernel: "menu/kernel"}}}
	objects, err = pxerpc.Objects(pxerpc.Content{Default: menu, Vars: vars("all"), Machines: []pxerpc.Machine{{MAC: own, Options: "quiet"}}})
	if err := cmp.Or(err, table.Apply(t.Context(), objects)); err != nil {
		t.Fatal(err)
	}
	shown, err := table.Resolve(t.Context(), pxe.Request{MAC: own})
	if a, ok := shown.Entry("a"); err != nil || !ok || a.Cmdline != "quiet" || a.Vars["http_proxy"] != "all" || !slices.Contains(table.Files(), "menu/kernel") {
		t.Errorf("entry %+v of %+v, %v; files %q", a, shown, err, table.Files())
	}
	bad := rpc.Object{Key: "network/192.0.2.0/24", Value: []byte(`{"prefix":"192.0.2.0/24","profile":{"kind":"no such"}}`)}
	if err := table.Change(t.Context(), []rpc.Object{bad}); err == nil {
		t.Error("a network's profile of no kind was accepted")
	}
}

func FuzzApply(f *testing.F) {
	f.Add("default", []byte(`{"kernel":"vmlinuz"}`))
	f.Add("network/192.0.2.0/24", []byte(`{"prefix":"192.0.2.0/24","servers":["192.0.2.1"],"profile":{"kind":"wait"}}`))
	f.Add("mac/02-00-00-00-00-01", []byte(`{"name":"a","profile":{"kind":"local"}}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		var table pxerpc.Table
		if table.Apply(t.Context(), map[string][]byte{key: value}) != nil {
			return
		}
		_, _ = table.Resolve(t.Context(), pxe.Request{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("192.0.2.9")})
	})
}

// HasName follows the machines of the table, also when two of them share a name for a moment.
func TestHasName(t *testing.T) {
	var table pxerpc.Table
	machine := func(last byte, name string) pxerpc.Machine {
		return pxerpc.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, last}, Name: name}
	}
	change := func(before, after []pxerpc.Machine) {
		t.Helper()
		upserts, deletes, err := pxerpc.MachineObjects(before, after)
		if err != nil {
			t.Fatal(err)
		}
		var changed []rpc.Object
		for key, value := range upserts {
			changed = append(changed, rpc.Object{Key: key, Value: value})
		}
		for _, key := range deletes {
			changed = append(changed, rpc.Object{Key: key, Deleted: true})
		}
		if err := table.Change(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
	}
	if table.HasName("web") || table.HasName("") {
		t.Error("an empty table has names")
	}
	change(nil, []pxerpc.Machine{machine(1, "Web"), machine(2, "web")})
	change([]pxerpc.Machine{machine(1, "Web")}, []pxerpc.Machine{machine(1, "db")})
	if !table.HasName("WEB") || !table.HasName("db") {
		t.Error("the second web, or db, has no name")
	}
	change([]pxerpc.Machine{machine(2, "web")}, nil)
	if table.HasName("web") || !table.HasName("db") {
		t.Error("web is gone, and db stays")
	}
	if err := table.Apply(t.Context(), map[string][]byte{}); err != nil || table.HasName("db") {
		t.Errorf("after an empty state: %v", err)
	}
}

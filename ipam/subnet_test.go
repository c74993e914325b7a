package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/ipam"
)

func TestSubnetValidate(t *testing.T) {
	addrs := func(texts ...string) (out []netip.Addr) {
		for _, text := range texts {
			out = append(out, netip.MustParseAddr(text))
		}
		return out
	}
	lab := netip.MustParsePrefix("10.0.0.0/24")
	for name, c := range map[string]struct {
		s    ipam.Subnet
		want string
	}{
		"prefix alone":           {ipam.Subnet{Prefix: lab}, ""},
		"no prefix":              {ipam.Subnet{}, "cidr is missing; write network/length"},
		"host bits":              {ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.9/24")}, "write 10.0.0.0/24"},
		"everything":             {ipam.Subnet{Prefix: netip.MustParsePrefix("::/0")}, "must be longer than /0"},
		"mapped":                 {ipam.Subnet{Prefix: netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 120)}, "write it as IPv4"},
		"name":                   {ipam.Subnet{Prefix: lab, Name: "lab: a/b_c-1"}, ""},
		"name with a semicolon":  {ipam.Subnet{Prefix: lab, Name: "a;b"}, "name may hold letters"},
		"name too long":          {ipam.Subnet{Prefix: lab, Name: strings.Repeat("x", 256)}, "longer than 255"},
		"reverse mode":           {ipam.Subnet{Prefix: lab, RDNS: ipam.RDNSDisabled + 1}, "rdns_mode is not a known mode"},
		"gateway":                {ipam.Subnet{Prefix: lab, Gateway: addrs("10.0.0.1")[0]}, ""},
		"gateway elsewhere":      {ipam.Subnet{Prefix: lab, Gateway: addrs("10.0.1.1")[0]}, "is not in subnet 10.0.0.0/24"},
		"DNS servers":            {ipam.Subnet{Prefix: lab, DNSServers: addrs("10.9.9.9", "2001:db8::53")}, ""},
		"DNS server of nothing":  {ipam.Subnet{Prefix: lab, DNSServers: make([]netip.Addr, 1)}, "dns_servers"},
		"DNS server unspecified": {ipam.Subnet{Prefix: lab, DNSServers: addrs("0.0.0.0")}, "0.0.0.0 is not an address of a server"},
		"DNS server of a group":  {ipam.Subnet{Prefix: lab, DNSServers: addrs("224.0.0.251")}, "is not an address of a server"},
		"relays":                 {ipam.Subnet{Prefix: lab, Relays: addrs("10.255.0.1", "10.0.0.1")}, ""},
		"relay of the other IP":  {ipam.Subnet{Prefix: lab, Relays: addrs("2001:db8::1")}, "relays 2001:db8::1 is not of the address family"},
		"IPv6 relays":            {ipam.Subnet{Prefix: netip.MustParsePrefix("2001:db8::/64"), Relays: addrs("2001:db8:f::1", "fe80::1")}, ""},
		"relay with a zone":      {ipam.Subnet{Prefix: netip.MustParsePrefix("2001:db8::/64"), Relays: addrs("fe80::1%eth0")}, "is not an address of a relay"},
		"relay of nothing":       {ipam.Subnet{Prefix: lab, Relays: make([]netip.Addr, 1)}, "relays"},
		"relay unspecified":      {ipam.Subnet{Prefix: lab, Relays: addrs("0.0.0.0")}, "0.0.0.0 is not an address of a relay"},
		"relay here":             {ipam.Subnet{Prefix: lab, Relays: addrs("127.0.0.1")}, "127.0.0.1 is not an address of a relay"},
		"relay of all":           {ipam.Subnet{Prefix: lab, Relays: addrs("255.255.255.255")}, "is not an address of a relay"},
		"relay of a group":       {ipam.Subnet{Prefix: lab, Relays: addrs("224.0.0.12")}, "is not an address of a relay"},
		"relay given twice":      {ipam.Subnet{Prefix: lab, Relays: addrs("10.255.0.1", "10.255.0.1")}, "is given twice"},
	} {
		err := c.s.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestOverlap(t *testing.T) {
	others := []ipam.Subnet{{ID: 1, Name: "lab", Prefix: netip.MustParsePrefix("10.0.0.0/24")}, {ID: 2, Prefix: netip.MustParsePrefix("10.2.0.0/16")}}
	for name, c := range map[string]struct {
		s    ipam.Subnet
		want string
	}{
		"beside":           {ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.1.0/24")}, ""},
		"inside":           {ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.128/25")}, "(subnet lab (10.0.0.0/24))"},
		"around":           {ipam.Subnet{Prefix: netip.MustParsePrefix("10.2.0.0/15")}, "(subnet 10.2.0.0/16)"},
		"its own old self": {ipam.Subnet{ID: 1, Prefix: netip.MustParsePrefix("10.0.0.0/23")}, ""},
		"other family":     {ipam.Subnet{Prefix: netip.MustParsePrefix("2001:db8::/32")}, ""},
	} {
		err := c.s.CheckOverlap(others)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRelaysOfOneSubnet(t *testing.T) {
	relays := []netip.Addr{netip.MustParseAddr("10.255.0.1")}
	others := []ipam.Subnet{{ID: 1, Name: "lab", Prefix: netip.MustParsePrefix("10.0.0.0/24"), Relays: relays}, {ID: 2, Prefix: netip.MustParsePrefix("10.2.0.0/16")}}
	err := ipam.Subnet{Name: "new", Relays: relays}.CheckRelays(others)
	if err == nil || !strings.Contains(err.Error(), "10.255.0.1 is a relay of subnet lab (10.0.0.0/24); remove it there first") {
		t.Errorf("a second subnet: %v", err)
	}
	for name, s := range map[string]ipam.Subnet{"itself": {ID: 1, Relays: relays}, "another relay": {Relays: []netip.Addr{netip.MustParseAddr("10.255.0.2")}}, "none": {}} {
		if err := s.CheckRelays(others); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing is a ledger that refuses with an error.
type failing struct {
	ipam.MemLedger
	err error
}

func (l *failing) Insert(context.Context, netip.Addr, string) error { return l.err }

// A ledger's failure is the caller's to see, and costs no address.
func TestPoolPassesFailuresOn(t *testing.T) {
	broken := errors.New("disk full")
	ledger := &failing{err: broken}
	pool, err := ipam.NewPool(t.Context(), ipam.PoolConfig{Usage: ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/29")}}, Ledger: ledger})
	if err != nil {
		t.Fatal(err)
	}
	free := pool.Free()
	for name, err := range map[string]error{
		"Next":  func() error { _, err := pool.Next(t.Context(), "k"); return err }(),
		"For":   func() error { _, err := pool.For(t.Context(), "k"); return err }(),
		"NextN": func() error { _, err := pool.NextN(t.Context(), 3, "k"); return err }(),
		"Take":  pool.Take(t.Context(), netip.MustParseAddr("10.0.0.3"), "k"),
	} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if pool.Free() != free {
		t.Errorf("%d addresses are free, of %d before", pool.Free(), free)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pool.Next(ended, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if err := pool.Release(t.Context(), netip.MustParseAddr("10.0.0.3")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("released what is not held: %v", err)
	}
	if _, err := pool.NextN(t.Context(), -1, "k"); err == nil {
		t.Error("a negative number of addresses was given out")
	}
}

// Many callers get one address each, no two the same, and the last ones are refused.
func TestPoolGivesEachAddressOnce(t *testing.T) {
	pool, err := ipam.NewPool(t.Context(), ipam.PoolConfig{Usage: ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/25")}}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var callers sync.WaitGroup
	seen, refused := map[netip.Addr]string{}, 0
	for c := range 10 {
		callers.Go(func() {
			for i := range 15 {
				key := fmt.Sprintf("%d/%d", c, i)
				a, err := pool.Next(t.Context(), key)
				mu.Lock()
				var full *ipam.ExhaustedError
				switch {
				case errors.As(err, &full):
					refused++
				case err != nil:
					t.Error(err)
				case seen[a] != "":
					t.Errorf("%s went to %s and %s", a, seen[a], key)
				default:
					seen[a] = key
				}
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	if len(seen) != 126 || refused != 150-126 || pool.Free() != 0 {
		t.Errorf("%d given out, %d refused, %d free", len(seen), refused, pool.Free())
	}
}

func TestNamesOfKinds(t *testing.T) {
	for k := ipam.Physical; k <= ipam.Unknown; k++ {
		if again, err := ipam.ParseInterfaceKind(k.String()); err != nil || again != k {
			t.Errorf("%s: %v %v", k, again, err)
		}
	}
	for m, want := range map[ipam.LinkMode]ipam.AllocType{
		ipam.LinkAuto: ipam.AllocAuto, ipam.LinkDHCP: ipam.AllocDHCP, ipam.LinkStatic: ipam.AllocSticky, ipam.LinkUp: ipam.AllocSticky,
	} {
		if again, err := ipam.ParseLinkMode(m.String()); err != nil || again != m || m.AllocType() != want {
			t.Errorf("%s: %v, holds a %s, %v", m, again, m.AllocType(), err)
		}
	}
	for name, err := range map[string]error{
		"kind": func() error { _, err := ipam.ParseInterfaceKind("modem"); return err }(),
		"mode": func() error { _, err := ipam.ParseLinkMode("modem"); return err }(),
		"type": func() error { _, err := ipam.ParseAllocType("modem"); return err }(),
		"pool": func() error { _, err := ipam.ParseRangeType("modem"); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "modem") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, odd := range []fmt.Stringer{ipam.InterfaceKind(99), ipam.LinkMode(99), ipam.Reason(99), ipam.AllocType(99)} {
		if !strings.Contains(odd.String(), "99") {
			t.Errorf("an unknown number is %q", odd)
		}
	}
}

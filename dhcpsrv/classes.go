package dhcpsrv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// Class selects clients by what they send, for both families. Of the fields that match, at least
// one is set, and a client must satisfy all that are. A client belongs to the first class of the
// snapshot that it satisfies.
type Class struct {
	Name string // unique in the snapshot; Pool.Class names it

	VendorClass string           // option 60, or 16 of IPv6, begins with it
	UserClass   string           // one of the classes in option 77, or 15 of IPv6
	Arch        []uint16         // option 93, or 61 of IPv6, has one of them
	MACPrefix   net.HardwareAddr // the link address begins with it
	CircuitID   []byte           // option 82.1, or 18 of IPv6, equals it

	// Ignore leaves the clients without an answer.
	Ignore bool
	// Options and Options6 are sent to the clients, by DHCPv4 and by DHCPv6. They win over the
	// options of the subnet, and those of the pool over them.
	Options, Options6 Options
}

// setClasses checks the classes of a snapshot.
func (c *serving) setClasses(classes []Class) error {
	for i, k := range classes {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("class %q: %w", k.Name, fmt.Errorf(format, args...))
		}
		switch {
		case k.Name == "":
			return fmt.Errorf("class %d: has no name", i)
		case slices.ContainsFunc(classes[:i], func(other Class) bool { return other.Name == k.Name }):
			return fail("two classes have this name")
		case k.VendorClass == "" && k.UserClass == "" && len(k.Arch) == 0 && len(k.MACPrefix) == 0 && len(k.CircuitID) == 0:
			return fail("selects every client: set VendorClass, UserClass, Arch, MACPrefix or CircuitID")
		}
		if err := errors.Join(checkOptions("Options", k.Options), checkOptions6("Options6", k.Options6)); err != nil {
			return fail("%w", err)
		}
	}
	c.classes, c.v6.classes = classes, classes
	return nil
}

// traits holds what a class looks at.
type traits struct {
	vendor, mac, circuit []byte
	user                 func() []string
	arch                 func(uint16) bool
}

// classOf returns the first class that a client satisfies, or nil.
func classOf(classes []Class, t *traits) *Class {
	for i := range classes {
		k := &classes[i]
		if hasPrefix(t.vendor, k.VendorClass) && bytes.HasPrefix(t.mac, k.MACPrefix) &&
			(len(k.CircuitID) == 0 || bytes.Equal(t.circuit, k.CircuitID)) &&
			(len(k.Arch) == 0 || slices.ContainsFunc(k.Arch, t.arch)) &&
			(k.UserClass == "" || slices.Contains(t.user(), k.UserClass)) {
			return k
		}
	}
	return nil
}

// classify returns the class of the client of a packet, or nil.
func (c *serving) classify(r *request) *Class {
	if len(c.classes) == 0 {
		return nil
	}
	t := traits{vendor: r.Option(wire.OptVendorClass), mac: r.CHAddr(), circuit: wire.SubOption(r.relayAgent, 1)}
	t.user = func() []string { return userClasses(r.Option(wire.OptUserClass)) }
	t.arch = func(arch uint16) bool {
		if v := r.Option(wire.OptClientArch); len(v) >= 2 {
			return hasArch(v, arch)
		}
		return slices.Contains(archOfClass(string(t.vendor)), arch)
	}
	return classOf(c.classes, &t)
}

func hasArch(v []byte, arch uint16) bool {
	for ; len(v) >= 2; v = v[2:] {
		if binary.BigEndian.Uint16(v) == arch {
			return true
		}
	}
	return false
}

// classify is [serving.classify] for IPv6.
func (c *serving6) classify(r *request6) *Class {
	if len(c.classes) == 0 {
		return nil
	}
	t := traits{vendor: vendorClass6(r.Options), circuit: r.circuitID()}
	if len(r.macs) > 0 {
		t.mac = r.macs[0]
	}
	t.user = func() []string { return userClasses6(r.Options.Find(wire6.OptUserClass)) }
	t.arch = func(arch uint16) bool {
		if v := r.Options.Find(wire6.OptClientArch); len(v) >= 2 {
			return hasArch(v, arch)
		}
		return slices.Contains(archOfClass(strings.Clone(string(t.vendor))), arch)
	}
	return classOf(c.classes, &t)
}

// checkPoolClasses refuses pools of classes that do not exist.
func checkPoolClasses(pools []Pool, classes []Class) error {
	for _, p := range pools {
		if p.Class != "" && !slices.ContainsFunc(classes, func(k Class) bool { return k.Name == p.Class }) {
			return fmt.Errorf("pool %v-%v: there is no class %q", p.First, p.Last, p.Class)
		}
	}
	return nil
}

// classed reports whether some pool is for a class alone.
func (s *Subnet) classed() bool {
	return slices.ContainsFunc(s.Pools, func(p Pool) bool { return p.Class != "" })
}

// opens reports whether the clients of a class (nil = of none) get addresses of a pool: of the
// pools of the class, where the subnet has some, and else of those without a class.
func (s *Subnet) opens(pool int, class *Class) bool {
	own := s.Pools[pool].Class
	if class == nil || own == class.Name {
		return class != nil || own == ""
	}
	return own == "" && !slices.ContainsFunc(s.Pools, func(p Pool) bool { return p.Class == class.Name })
}

// pickOpen returns a never used address of the pools that are open to the client of a decision.
func (t *table) pickOpen(d *decision, sub *subnet) (addr4, bool) {
	for n, r := range sub.space.ranges {
		if !sub.opens(n, d.class) {
			continue
		}
		size := uint64(r.hi-r.lo) + 1
		start := hashKey(d.key) % size
		for i := range min(size, maxScan) {
			off := (start + i) % size
			if a := r.lo + addr4(off); !sub.space.isTaken(r.base+int(off)) && t.byAddr[a] == nil && t.isFree(d, a) {
				return a, true
			}
		}
	}
	return 0, false
}

// pickOpen is [table.pickOpen] for IPv6.
func (t *table6) pickOpen(d *decision6, sub *subnet6, key []byte) netip.Addr {
	now := d.now.UnixNano()
	for n, size := range sub.sizes {
		if !sub.opens(n, d.class) {
			continue
		}
		start := hashKey(key) % size
		for i := range min(size, maxScan) {
			a := add6(sub.Pools[n].First, (start+i)%size)
			if sub.mayPick(a, now) && t.byAddr[a] == nil && t.dynamic(d, a) && !d.uses(a) {
				return a
			}
		}
	}
	return netip.Addr{}
}

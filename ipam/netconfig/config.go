package netconfig

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/gomaas/maas/ipam"
)

// Default4 and Default6 are the destinations of default routes.
var (
	Default4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	Default6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// Config is the network configuration of one machine.
type Config struct {
	// Interfaces are in any order; members of bonds and bridges are interfaces themselves.
	Interfaces []Interface
	// DNS are the resolvers of the machine, and Search its search domains.
	DNS    []netip.Addr
	Search []string
}

// Interface is one network interface. Without addresses and DHCP it is brought up only.
type Interface struct {
	Name string // 1 to 15 octets
	Kind ipam.InterfaceKind
	// MAC identifies a physical interface, whose name is set to Name. For the other kinds it is the
	// link address to set; nil = the system's choice.
	MAC net.HardwareAddr
	MTU int // in octets; 0 = the system's default
	// Parents are the members of a bond or bridge, or the one interface under a VLAN.
	Parents []string
	VID     int // of a VLAN, 1 to 4094
	Bond    Bond
	Bridge  Bridge

	Addresses []netip.Prefix // static ones with their prefix lengths
	DHCP4     bool
	DHCP6     bool
	// AcceptRA lets router advertisements add addresses and routes.
	AcceptRA bool
	Routes   []Route
	Rules    []Rule
}

// Route is a static route through an interface.
type Route struct {
	To     netip.Prefix // Default4 and Default6 are the default routes
	Via    netip.Addr   // if not valid, the destination is on the link
	Metric int          // 0 = the system's default
	Table  int          // 0 = the main table
}

// Rule has packets from a network look into a table.
type Rule struct {
	From  netip.Prefix
	Table int
}

// Bond holds the parameters of a bond, in the kernel's terms. Zero values are the kernel's
// defaults.
type Bond struct {
	Mode           string // "active-backup", "802.3ad" and so on; "" = "balance-rr"
	MIIMonitor     int    // interval in milliseconds
	UpDelay        int    // in milliseconds
	DownDelay      int    // in milliseconds
	LACPRate       string // "slow" or "fast"
	TransmitPolicy string // such as "layer3+4"
}

// Bridge holds the parameters of a bridge.
type Bridge struct {
	STP          bool
	ForwardDelay int // in seconds; 0 = the kernel's default
}

// InvalidError is a configuration that no system takes. It names the interface.
type InvalidError struct {
	Interface string
	Why       string
}

// Error names the interface and the reason.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("netconfig: interface %q: %s", e.Interface, e.Why)
}

var (
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,15}$`)
	// word matches what the formats take without quotes, and none of them reads as syntax.
	word = regexp.MustCompile(`^[A-Za-z0-9_.+-]*$`)
)

// Check returns an *InvalidError for a configuration that contradicts itself: names that are taken
// twice, members that do not exist or are in two places, loops.
func (c Config) Check() error {
	byName := make(map[string]*Interface)
	for n := range c.Interfaces {
		i := &c.Interfaces[n]
		if byName[i.Name] != nil {
			return &InvalidError{i.Name, "is there twice"}
		}
		byName[i.Name] = i
	}
	member := make(map[string]string)
	for _, i := range c.Interfaces {
		if err := i.check(); err != nil {
			return err
		}
		for _, p := range i.Parents {
			parent := byName[p]
			switch {
			case parent == nil:
				return &InvalidError{i.Name, fmt.Sprintf("its parent %q does not exist", p)}
			case i.Kind != ipam.VLANInterface && member[p] != "":
				return &InvalidError{i.Name, fmt.Sprintf("its member %s is one of %s already", p, member[p])}
			case i.Kind != ipam.VLANInterface && len(parent.Addresses)+len(parent.Routes) > 0:
				return &InvalidError{p, "has addresses or routes, and is a member of " + i.Name + "; give them to that"}
			case i.Kind != ipam.VLANInterface:
				member[p] = i.Name
			}
		}
		if loops(byName, i.Name, i.Name, len(c.Interfaces)) {
			return &InvalidError{i.Name, "is made of itself"}
		}
	}
	for _, s := range c.Search {
		if !word.MatchString(s) || s == "" {
			return &InvalidError{"", fmt.Sprintf("search domain %q is no domain name", s)}
		}
	}
	return nil
}

// loops reports whether an interface is above another one, or is it after at most steps.
func loops(byName map[string]*Interface, at, target string, steps int) bool {
	if byName[at] == nil || steps < 0 {
		return steps < 0
	}
	for _, p := range byName[at].Parents {
		if p == target || loops(byName, p, target, steps-1) {
			return true
		}
	}
	return false
}

func (i Interface) check() error {
	wrong := func(format string, args ...any) error { return &InvalidError{i.Name, fmt.Sprintf(format, args...)} }
	switch {
	case !interfaceName.MatchString(i.Name) || i.Name == "." || i.Name == "..":
		return wrong("the name must be 1 to 15 letters, digits or _ . -")
	case i.Kind == ipam.Physical && len(i.MAC) != 6:
		return wrong("a physical interface is found by its MAC, which is six octets")
	case len(i.MAC) != 0 && len(i.MAC) != 6:
		return wrong("the MAC must be six octets")
	case i.Kind == ipam.Physical && len(i.Parents) > 0:
		return wrong("a physical interface has no parents")
	case i.Kind == ipam.VLANInterface && (len(i.Parents) != 1 || i.VID < 1 || i.VID > 4094):
		return wrong("a VLAN has one parent and a tag from 1 to 4094")
	case (i.Kind == ipam.Bond || i.Kind == ipam.Bridge) && len(i.Parents) == 0:
		return wrong("a %s has members", i.Kind)
	case i.Kind > ipam.VLANInterface:
		return wrong("kind %s is none that can be configured", i.Kind)
	case i.MTU != 0 && (i.MTU < 68 || i.MTU > 65535):
		return wrong("the MTU must be from 68 to 65535")
	}
	for _, text := range []string{i.Bond.Mode, i.Bond.LACPRate, i.Bond.TransmitPolicy} {
		if !word.MatchString(text) {
			return wrong("parameter %q is no word", text)
		}
	}
	for _, a := range i.Addresses {
		if !a.IsValid() || a.Addr().IsUnspecified() || a.Addr().Zone() != "" {
			return wrong("%s is no address with a prefix length", a)
		}
	}
	for _, r := range i.Routes {
		if !r.To.IsValid() || r.Via.IsValid() && r.Via.Is4() != r.To.Addr().Is4() || r.Metric < 0 || r.Table < 0 {
			return wrong("the route to %s via %s has addresses of two families, or none", r.To, r.Via)
		}
	}
	for _, r := range i.Rules {
		if !r.From.IsValid() || r.Table <= 0 {
			return wrong("the rule from %s has no network or table", r.From)
		}
	}
	return nil
}

// onLink reports whether a gateway is outside of the interface's networks, so that the system has
// to be told that it is reached on the link. Link-local gateways always are.
func (i Interface) onLink(via netip.Addr) bool {
	return via.IsValid() && !via.IsLinkLocalUnicast() && !slices.ContainsFunc(i.Addresses, func(a netip.Prefix) bool { return a.Masked().Contains(via) })
}

// addresses returns the static addresses of a family.
func (i Interface) addresses(is4 bool) (out []netip.Prefix) {
	for _, a := range i.Addresses {
		if a.Addr().Is4() == is4 {
			out = append(out, a)
		}
	}
	return out
}

// routes returns the routes of a family.
func (i Interface) routes(is4 bool) (out []Route) {
	for _, r := range i.Routes {
		if r.To.Addr().Is4() == is4 {
			out = append(out, r)
		}
	}
	return out
}

// memberOf returns the bond or bridge that an interface is a member of.
func (c Config) memberOf(name string) (of Interface, ok bool) {
	for _, i := range c.Interfaces {
		if (i.Kind == ipam.Bond || i.Kind == ipam.Bridge) && slices.Contains(i.Parents, name) {
			return i, true
		}
	}
	return of, false
}

// vlansOn returns the names of the VLANs on an interface.
func (c Config) vlansOn(name string) (out []string) {
	for _, i := range c.Interfaces {
		if i.Kind == ipam.VLANInterface && i.Parents[0] == name {
			out = append(out, i.Name)
		}
	}
	return out
}

// ordered returns the interfaces with parents before what is made of them, else in their order.
func (c Config) ordered() []Interface {
	byName := make(map[string]Interface)
	for _, i := range c.Interfaces {
		byName[i.Name] = i
	}
	var out []Interface
	done := make(map[string]bool)
	var visit func(i Interface)
	visit = func(i Interface) {
		if done[i.Name] {
			return
		}
		done[i.Name] = true
		for _, p := range i.Parents {
			visit(byName[p])
		}
		out = append(out, i)
	}
	for _, i := range c.Interfaces {
		visit(i)
	}
	return out
}

func (c Config) of(kind ipam.InterfaceKind) (out []Interface) {
	for _, i := range c.ordered() {
		if i.Kind == kind {
			out = append(out, i)
		}
	}
	return out
}

// destination returns a route's destination in words that all formats with words share.
func (r Route) destination() string {
	if r.To.Bits() == 0 {
		return "default"
	}
	return r.To.Masked().String()
}

// texts returns values as text.
func texts[T fmt.Stringer](list []T) []string {
	out := make([]string, len(list))
	for n, v := range list {
		out[n] = v.String()
	}
	return out
}

func spaced[T fmt.Stringer](list []T) string { return strings.Join(texts(list), " ") }

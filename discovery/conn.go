package discovery

import "net/netip"

// A Conn is one end of an Ethernet link: [OpenPacket] opens a real one, and tests give their own.
type Conn interface {
	// Receive waits for frames and hands them, at least one, to fn, with the VLAN tag that the
	// interface took off them. fn must not keep the frame. The error is net.ErrClosed after Close.
	// It is called from one goroutine at a time.
	Receive(fn func(frame []byte, vid uint16)) error
	// Send transmits a whole frame. It may be called while Receive waits.
	Send(frame []byte) error
	// Drops returns the number of frames lost since the last call because they were not received in
	// time.
	Drops() uint64
	// Interface is the interface as it was when it was opened.
	Interface() Interface
	// Close ends a Receive that waits. It may be called more than once.
	Close() error
}

// An Interface is a network interface of this host.
type Interface struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	MAC   MAC    `json:"mac"`
	// Kind is the kernel's name for virtual kinds such as "bond", "bridge", "vlan" or "veth", empty
	// for hardware.
	Kind string `json:"kind,omitempty"`
	// Up says that frames can pass: it is switched on and has a carrier.
	Up       bool `json:"up"`
	Loopback bool `json:"loopback,omitempty"`
	// Ethernet says that it speaks in Ethernet frames.
	Ethernet bool `json:"ethernet"`
	// Master is the index of the bond or bridge that it is part of, 0 for none.
	Master int `json:"master,omitempty"`
	// Addrs are its addresses with the length of their prefixes.
	Addrs []netip.Prefix `json:"addrs,omitempty"`
}

// Choose returns the interfaces to watch, by MAAS's rules: those that are up, of which hardware
// that is no part of a bond, bonds, and bridges without hardware in them, since the hardware sees
// the same frames. VLAN interfaces are not watched: their frames are seen with their tags on the
// interface below. Virtual cables count as hardware unless they are plugged into a bridge here.
func Choose(interfaces []Interface) []Interface {
	kind, ported := map[int]string{}, map[int]bool{}
	for _, l := range interfaces {
		kind[l.Index] = l.Kind
		if l.Master != 0 && !virtual(l.Kind) {
			ported[l.Master] = true
		}
	}
	var out []Interface
	for _, l := range interfaces {
		switch {
		case !l.Up || l.Loopback || !l.Ethernet:
		case l.Kind == "bridge" && ported[l.Index]:
		case l.Kind == "", l.Kind == "bond", l.Kind == "bridge", l.Kind == "team":
			if m := kind[l.Master]; l.Master == 0 || m != "bond" && m != "team" {
				out = append(out, l)
			}
		case (l.Kind == "veth" || l.Kind == "macvlan") && l.Master == 0:
			out = append(out, l)
		}
	}
	return out
}

// virtual reports kinds that only lead into this host's own machines and containers.
func virtual(kind string) bool {
	return kind == "veth" || kind == "tun" || kind == "tap" || kind == "dummy"
}

package boottest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Segment is one broadcast domain with a prefix of IPv4, or of IPv6: there machines speak DHCPv6.
// Make one with [NewSegment]; change the exported fields before the first node is made.
type Segment struct {
	// Link is the name by which DHCP servers know the segment, as they know an interface.
	Link string
	// Delay is the transit time of a datagram, or of a piece of a stream.
	Delay time.Duration
	// Jitter is up to how much longer than Delay a datagram is under way, at random: they overtake
	// each other.
	Jitter time.Duration
	// Loss is the share of datagrams lost, 0 to 1. Streams lose nothing. Which ones are lost is the
	// same in every run.
	Loss float64
	// MTU is the size, headers included, above which datagrams are lost without a word, as in a
	// badly made tunnel; 0 = none is.
	MTU int
	// Rate bounds what each node receives, in bytes per second; 0 = no bound.
	Rate int64

	prefix netip.Prefix

	mu    sync.Mutex
	rand  *rand.Rand
	nodes []*Node
	byIP  map[netip.Addr]*Node
	// beyond are the segments that routers lead to.
	beyond []*Segment
}

// NewSegment returns an empty segment named "boottest0".
func NewSegment(prefix netip.Prefix) *Segment {
	// A fixed seed loses the same datagrams in every run, so that a failure can be repeated.
	return &Segment{Link: "boottest0", prefix: prefix.Masked(), rand: rand.New(rand.NewPCG(1, 2)), byIP: make(map[netip.Addr]*Node)}
}

// VLAN returns a tagged network on the same wire, with the name "LINK.tag" and the wire's present
// delay, jitter, loss, MTU and rate. Nothing passes between it and the others.
func (s *Segment) VLAN(tag int, prefix netip.Prefix) *Segment {
	v := NewSegment(prefix)
	v.Link = fmt.Sprintf("%s.%d", s.Link, tag)
	v.Delay, v.Jitter, v.Loss, v.MTU, v.Rate = s.Delay, s.Jitter, s.Loss, s.MTU, s.Rate
	return v
}

// Prefix returns the prefix of the segment.
func (s *Segment) Prefix() netip.Prefix { return s.prefix }

// Server puts a host with a fixed address on the segment. It panics when the address is taken or
// outside the prefix, which is a mistake in the program.
func (s *Segment) Server(addr netip.Addr) *Node {
	if !s.prefix.Contains(addr) {
		panic(fmt.Sprintf("boottest: server address %v is outside the segment's prefix %v", addr, s.prefix))
	}
	n := s.newNode(nil)
	if err := n.setAddr(addr); err != nil {
		panic("boottest: " + err.Error())
	}
	return n
}

// newNode adds a host without an address. With mac nil it gets one of its own.
func (s *Segment) newNode(mac net.HardwareAddr) *Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mac == nil {
		n := len(s.nodes) + 1
		mac = net.HardwareAddr{0x02, 0, 0x5e, 0, byte(n >> 8), byte(n)}
	}
	n := &Node{seg: s, mac: mac, udp: make(map[uint16]*packetConn), tcp: make(map[uint16]*listener), nextPort: 32768}
	// DHCPv6 needs an address to send from, so a card has one from the beginning.
	if s.prefix.Addr().Is6() {
		n.local = linkLocal(mac)
		s.byIP[n.local] = n
	}
	s.nodes = append(s.nodes, n)
	return n
}

// linkLocal makes the address that a card gives itself (RFC 4291 appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// owner returns the node that has an address, here or behind a router.
func (s *Segment) owner(a netip.Addr) *Node {
	s.mu.Lock()
	n, beyond := s.byIP[a.Unmap()], s.beyond
	s.mu.Unlock()
	for _, far := range beyond {
		if n == nil && far.prefix.Contains(a.Unmap()) {
			far.mu.Lock()
			n = far.byIP[a.Unmap()]
			far.mu.Unlock()
		}
	}
	return n
}

// broadcast is the limited broadcast address (RFC 919).
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// receivers returns the nodes that receive what is sent to an address: all others for a broadcast
// or multicast, the owner, or, with hw, the host with that link address, whatever its IP address
// is.
func (s *Segment) receivers(from *Node, dst netip.Addr, hw net.HardwareAddr) (nodes []*Node) {
	everybody := dst == broadcast || dst == s.last() || dst.IsMulticast()
	if hw == nil && !everybody {
		// Without an owner the datagram is lost: no host sends an error for an address that does
		// not exist.
		if n := s.owner(dst); n != nil {
			nodes = append(nodes, n)
		}
		return nodes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		if hw != nil && string(n.mac) == string(hw) || hw == nil && n != from {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// last returns the broadcast address of the prefix; IPv6 has none.
func (s *Segment) last() netip.Addr {
	if s.prefix.Addr().Is6() {
		return netip.Addr{}
	}
	a := s.prefix.Addr().As4()
	for bit := s.prefix.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}

// lost decides about one datagram.
func (s *Segment) lost() bool {
	if s.Loss == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rand.Float64() < s.Loss
}

// due returns the time at which something of the given size, sent to n now, arrives; zero is at
// once, without a look at the clock for each datagram.
func (s *Segment) due(n *Node, size int) time.Time {
	if s.Rate == 0 && s.Jitter == 0 && s.Delay == 0 {
		return time.Time{}
	}
	now := time.Now()
	// A line carries one thing after the other: what arrives for a busy one waits for its turn.
	if s.Rate > 0 {
		n.mu.Lock()
		if n.busy.Before(now) {
			n.busy = now
		}
		n.busy = n.busy.Add(time.Duration(float64(size) / float64(s.Rate) * float64(time.Second)))
		now = n.busy
		n.mu.Unlock()
	}
	if s.Jitter > 0 {
		s.mu.Lock()
		now = now.Add(time.Duration(s.rand.Int64N(int64(s.Jitter))))
		s.mu.Unlock()
	}
	return now.Add(s.Delay)
}

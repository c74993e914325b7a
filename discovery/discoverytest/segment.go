// Package discoverytest is a piece of Ethernet in memory, for tests of what uses package discovery:
// no root, no namespaces, and it works in the virtual time of testing/synctest.
//
//	segment := discoverytest.NewSegment()
//	segment.Host(mac, netip.MustParseAddr("192.0.2.7"))
//	err := discovery.Watch(ctx, discovery.Config{Interfaces: []string{"eth0"}, Open: segment.Open(link), Sink: sink})
//
// A frame that one port sends comes out of all others at once, in order. A port whose reader is
// slow loses frames and counts them, as a kernel does.
package discoverytest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/discovery"
)

// A Segment is a cable with any number of ports. Its methods may be called concurrently.
type Segment struct {
	mu    sync.Mutex // guards the fields below
	ports []*Port
}

// NewSegment returns one without ports.
func NewSegment() *Segment { return &Segment{} }

// Port adds a port that describes itself as the given interface.
func (s *Segment) Port(link discovery.Interface) *Port {
	p := &Port{segment: s, link: link, frames: make(chan []byte, queue), closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports = append(s.ports, p)
	return p
}

// Open is for discovery.Config: each call adds a port that is like the link, with the name that is
// asked for.
func (s *Segment) Open(link discovery.Interface) func(name string) (discovery.Conn, error) {
	return func(name string) (discovery.Conn, error) {
		l := link
		l.Name = name
		return s.Port(l), nil
	}
}

// Send puts a frame on the cable that comes from no port.
func (s *Segment) Send(frame []byte) { s.send(nil, frame) }

func (s *Segment) send(from *Port, frame []byte) {
	s.mu.Lock()
	ports := slices.Clone(s.ports)
	s.mu.Unlock()
	for _, p := range ports {
		if p != from {
			p.take(slices.Clone(frame))
		}
	}
}

// queue is the number of frames that wait for the reader of a port.
const queue = 1024

// A Port is a discovery.Conn.
type Port struct {
	segment *Segment
	link    discovery.Interface
	frames  chan []byte
	answer  func(frame []byte) [][]byte // nil for ports with a reader
	once    sync.Once
	closed  chan struct{}
	drops   atomic.Uint64
}

func (p *Port) take(frame []byte) {
	if p.answer != nil {
		for _, reply := range p.answer(frame) {
			p.segment.send(p, reply)
		}
		return
	}
	select {
	case p.frames <- frame:
	default:
		p.drops.Add(1)
	}
}

// Receive hands over one frame.
func (p *Port) Receive(fn func(frame []byte, vid uint16)) error {
	select {
	case <-p.closed:
		return net.ErrClosed
	default:
	}
	select {
	case frame := <-p.frames:
		fn(frame, 0)
		return nil
	case <-p.closed:
		return net.ErrClosed
	}
}

// Send puts a frame on the cable.
func (p *Port) Send(frame []byte) error {
	p.segment.send(p, frame)
	return nil
}

// Drops returns the number of frames that found the queue full since the last call.
func (p *Port) Drops() uint64 { return p.drops.Swap(0) }

// Interface returns the interface that Port was called with.
func (p *Port) Interface() discovery.Interface { return p.link }

// Close takes the port off the cable.
func (p *Port) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.segment.mu.Lock()
		defer p.segment.mu.Unlock()
		p.segment.ports = slices.DeleteFunc(p.segment.ports, func(o *Port) bool { return o == p })
	})
	return nil
}

// Host adds a device that answers ARP questions for its IPv4 addresses and neighbour solicitations
// for its IPv6 addresses.
func (s *Segment) Host(mac discovery.MAC, addrs ...netip.Addr) *Port {
	p := s.Port(discovery.Interface{MAC: mac})
	p.answer = func(frame []byte) [][]byte {
		f, err := discovery.ParseFrame(frame, 0)
		if err != nil {
			return nil
		}
		switch {
		case f.Type == 0x0806 && len(f.Payload) >= 28 && f.Payload[7] == 1:
			if a := netip.AddrFrom4([4]byte(f.Payload[24:28])); slices.Contains(addrs, a) {
				return [][]byte{ARP(mac, a, f.Src, netip.AddrFrom4([4]byte(f.Payload[14:18])), true)}
			}
		case f.Type == 0x86dd && len(f.Payload) >= 64 && f.Payload[6] == 58 && f.Payload[40] == 135:
			if a := netip.AddrFrom16([16]byte(f.Payload[48:64])); slices.Contains(addrs, a) {
				return [][]byte{Advertisement(mac, a, f.Src, netip.AddrFrom16([16]byte(f.Payload[8:24])))}
			}
		}
		return nil
	}
	return p
}

// ARP is the frame of an ARP question or reply. An address that is not valid is sent as zeros.
func ARP(from discovery.MAC, sender netip.Addr, to discovery.MAC, target netip.Addr, reply bool) []byte {
	op, dst := byte(1), discovery.MAC{255, 255, 255, 255, 255, 255}
	if reply {
		op, dst = 2, to
	}
	four := func(a netip.Addr) []byte {
		if !a.Is4() {
			return make([]byte, 4)
		}
		return a.AsSlice()
	}
	b := append(dst[:], from[:]...)
	b = append(append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, op), from[:]...)
	b = append(append(b, four(sender)...), to[:]...)
	return append(b, four(target)...)
}

// Advertisement is the frame of a neighbour advertisement (RFC 4861 section 4.4). Its checksum is
// left out: nothing that listens beside a kernel looks at it.
func Advertisement(from discovery.MAC, addr netip.Addr, to discovery.MAC, dst netip.Addr) []byte {
	b := binary.BigEndian.AppendUint16(append(to[:], from[:]...), 0x86dd)
	b = append(b, 0x60, 0, 0, 0, 0, 32, 58, 255)
	b = append(append(b, addr.AsSlice()...), dst.AsSlice()...)
	b = append(append(b, 136, 0, 0, 0, 0x60, 0, 0, 0), addr.AsSlice()...)
	return append(append(b, 2, 1), from[:]...)
}

// Tag puts a VLAN tag (IEEE 802.1Q) into a frame.
func Tag(frame []byte, vid uint16) []byte {
	b := append(slices.Clone(frame[:12]), 0x81, 0)
	return append(binary.BigEndian.AppendUint16(b, vid), frame[12:]...)
}

package dhcplink

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/dhcpsrv"
)

// batchSize bounds the datagrams of one system call.
const batchSize = 64

// mmsg holds the methods that ipv4.PacketConn and ipv6.PacketConn share.
type mmsg interface {
	ReadBatch([]ipv4.Message, int) (int, error)
	WriteBatch([]ipv4.Message, int) (int, error)
}

// batcher moves batches through a UDP socket. It keeps its memory, so that a packet allocates none.
type batcher struct {
	pc      mmsg
	in, out []ipv4.Message // of the one reader and the one writer
	to      []net.UDPAddr  // of out
	index   []int          // of out: which reply it is

	mu    sync.Mutex
	infos map[packetInfo][]byte
}

// packetInfo holds the interface that a datagram leaves by, and its source address.
type packetInfo struct {
	index int
	src   netip.Addr
}

func newBatcher(pc mmsg) *batcher {
	b := &batcher{pc: pc, in: make([]ipv4.Message, batchSize), out: make([]ipv4.Message, batchSize), to: make([]net.UDPAddr, batchSize), infos: make(map[packetInfo][]byte)}
	for i := range batchSize {
		b.in[i].Buffers, b.in[i].OOB = make([][]byte, 1), make([]byte, 128)
		b.out[i].Buffers, b.out[i].Addr = make([][]byte, 1), &b.to[i]
		b.to[i].IP = make(net.IP, 0, net.IPv6len)
	}
	return b
}

// read waits for datagrams. name returns the served interface of an index, or "".
func (b *batcher) read(in []dhcpsrv.Packet, name func(int) string) (n int, err error) {
	for n == 0 {
		msgs := b.in[:min(len(in), batchSize)]
		for i := range msgs {
			msgs[i].Buffers[0] = in[i].Data[:cap(in[i].Data)]
		}
		got, err := b.pc.ReadBatch(msgs, 0)
		if err != nil {
			return 0, err
		}
		for i := range msgs[:got] {
			m, p := &msgs[i], &in[n]
			from, ok := m.Addr.(*net.UDPAddr)
			index, dst := destination(m.OOB[:m.NN])
			if link := name(index); ok && link != "" {
				in[n].Data, in[i].Data = in[i].Data, in[n].Data
				src := from.AddrPort()
				p.Data, p.Link, p.Dst, p.Src = p.Data[:m.N], link, dst, netip.AddrPortFrom(src.Addr().Unmap().WithZone(""), src.Port())
				n++
			}
		}
	}
	return n, nil
}

// destination reads from control messages the interface on which a datagram arrived and the address
// it was sent to.
func destination(oob []byte) (index int, dst netip.Addr) {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return int(binary.NativeEndian.Uint32(data)), netip.AddrFrom4([4]byte(data[8:12]))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return int(binary.NativeEndian.Uint32(data[16:])), netip.AddrFrom16([16]byte(data))
		}
		oob = rest
	}
	return 0, netip.Addr{}
}

// info returns the control message for a reply, nil when the routes of the host decide.
func (b *batcher) info(index int, src netip.Addr) []byte {
	if index == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := packetInfo{index, src}
	oob, ok := b.infos[key]
	if ok {
		return oob
	}
	if src.Is4() || !src.IsValid() {
		cm := ipv4.ControlMessage{IfIndex: index, Src: src.AsSlice()}
		oob = cm.Marshal()
	}
	if _, is6 := b.pc.(*ipv6.PacketConn); is6 {
		cm := ipv6.ControlMessage{IfIndex: index, Src: src.AsSlice()}
		oob = cm.Marshal()
	}
	if len(b.infos) > 1<<12 { // interfaces and addresses have changed often
		clear(b.infos)
	}
	b.infos[key] = oob
	return oob
}

// write sends the replies to the addresses that to returns; a reply without one is left to the
// caller.
func (b *batcher) write(replies []dhcpsrv.Reply, to func(i int) (dst netip.AddrPort, oob []byte, ok bool), failed func(int, error)) {
	b.index = b.index[:0]
	for i := range replies {
		dst, oob, ok := to(i)
		if !ok {
			continue
		}
		at := len(b.index)
		b.out[at].Buffers[0], b.out[at].OOB = replies[i].Data, oob
		a16, a4 := dst.Addr().As16(), [4]byte{}
		if b.to[at].IP = append(b.to[at].IP[:0], a16[:]...); dst.Addr().Is4() {
			a4 = dst.Addr().As4()
			b.to[at].IP = append(b.to[at].IP[:0], a4[:]...)
		}
		b.to[at].Port = int(dst.Port())
		if b.index = append(b.index, i); len(b.index) == batchSize {
			b.send(failed)
		}
	}
	b.send(failed)
}

// dropSource leaves the source address of a datagram to the system and reports whether that is new:
// an address that the interface has lost must not cost the client its reply.
func (b *batcher) dropSource(m *ipv4.Message) bool {
	index, _ := destination(m.OOB)
	oob := b.info(index, netip.Addr{})
	if bytes.Equal(m.OOB, oob) {
		return false
	}
	m.OOB = oob
	return true
}

// send sends what write has gathered. A datagram that fails does not stop the rest.
func (b *batcher) send(failed func(int, error)) {
	for at := 0; at < len(b.index); {
		n, err := b.pc.WriteBatch(b.out[at:len(b.index)], 0)
		if err != nil && b.dropSource(&b.out[at]) {
			continue
		}
		if err != nil {
			failed(b.index[at], err)
			n = 1
		}
		at += max(n, 1)
	}
	b.index = b.index[:0]
}

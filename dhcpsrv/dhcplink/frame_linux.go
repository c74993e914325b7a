package dhcplink

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// frameSocket sends UDP datagrams to link addresses. It receives nothing.
type frameSocket struct {
	conn *packet.Conn
	mu   sync.Mutex
	buf  []byte
}

func openFrames(ifi *net.Interface) (*frameSocket, error) {
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return nil, err
	}
	// The protocol is written into the frames: with 0 no host would read them.
	conn, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_IP, &packet.Config{Filter: nothing})
	if err != nil {
		return nil, err
	}
	return &frameSocket{conn: conn}, nil
}

func (s *frameSocket) send(payload []byte, src, dst netip.AddrPort, hw net.HardwareAddr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = appendDatagram(s.buf[:0], payload, src, dst)
	_, err := s.conn.WriteTo(s.buf, &packet.Addr{HardwareAddr: hw})
	return err
}

func (s *frameSocket) close() { s.conn.Close() }

// appendDatagram appends an IPv4 packet with a UDP datagram.
func appendDatagram(b, payload []byte, src, dst netip.AddrPort) []byte {
	from, to := [4]byte{}, dst.Addr().As4()
	if src.Addr().Is4() {
		from = src.Addr().As4()
	}
	start := len(b)
	b = append(b, 0x45, 0x10) // no options; low delay, as DHCP servers mark it
	b = binary.BigEndian.AppendUint16(b, uint16(20+8+len(payload)))
	b = append(b, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0)
	b = append(append(b, from[:]...), to[:]...)
	binary.BigEndian.PutUint16(b[start+10:], ^fold(sum(0, b[start:])))

	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(append(b, 0, 0), payload...)
	pseudo := sum(uint32(unix.IPPROTO_UDP)+uint32(8+len(payload)), b[start+12:start+20])
	check := ^fold(sum(pseudo, b[udp:]))
	if check == 0 {
		check = 0xffff // 0 would mean "not computed"
	}
	binary.BigEndian.PutUint16(b[udp+6:], check)
	return b
}

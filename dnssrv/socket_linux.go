package dnssrv

import (
	"net"
	"syscall"
)

// canBatch says that control messages which name the destination of a datagram can be sent back as
// its answer's source.
const canBatch = true

// enlarge asks for a receive buffer beyond the system's limit, which takes privileges, and else for
// what may be had.
func enlarge(conn *net.UDPConn, size int) {
	// The first call is bounded by net.core.rmem_max; the second one, with CAP_NET_ADMIN, is not.
	_ = conn.SetReadBuffer(size)
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, size)
	})
}

// replyFrom turns the control message of a question into the one of its answer, in place. The
// address stays. The route selects the interface, unless the address is valid on one interface
// only.
func replyFrom(oob []byte, is6 bool) []byte {
	at := syscall.CmsgLen(0)
	if is6 {
		if len(oob) < at+20 || oob[at] == 0xfe && oob[at+1]&0xc0 == 0x80 {
			return oob
		}
		at += 16 // struct in6_pktinfo has the interface after the address
	} else if len(oob) < at+12 {
		return oob
	}
	// The interface of the question may not be the way back, where routes are asymmetric.
	clear(oob[at : at+4])
	return oob
}

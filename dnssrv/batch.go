package dnssrv

import (
	"errors"
	"net"
	"runtime"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	batchSize   = 64
	maxQuestion = 4096    // larger ones are no questions
	maxLoops    = 4       // of one socket
	recvBuffer  = 4 << 20 // bytes the kernel may keep for us: some 5,000 questions
	oobSize     = 64      // for the one control message that names the destination
)

// batchConn is implemented by ipv4.PacketConn and ipv6.PacketConn.
type batchConn interface {
	ReadBatch([]ipv4.Message, int) (int, error)
	WriteBatch([]ipv4.Message, int) (int, error)
}

// serveBatches runs some loops on the socket until reading fails.
func (s *Server) serveBatches(conn *net.UDPConn, l *later) error {
	enlarge(conn, recvBuffer)
	var b batchConn = ipv4.NewPacketConn(conn)
	local, _ := conn.LocalAddr().(*net.UDPAddr)
	is6 := local.IP.To4() == nil
	oob := 0
	if is6 {
		b = ipv6.NewPacketConn(conn)
	}
	// The kernel would choose the source by the route, and the client drop the answer.
	if local.IP.IsUnspecified() {
		oob = oobSize
		if err := requestDestination(conn, is6); err != nil {
			return err
		}
	}
	loops := min(runtime.GOMAXPROCS(0), maxLoops)
	ends := make(chan error, loops)
	for range loops {
		loop := &batchLoop{s: s, conn: conn, batch: b, later: l, is6: is6}
		loop.init(oob)
		go func() { ends <- loop.run() }()
	}
	err := <-ends
	conn.Close() // which ends the others
	for range loops - 1 {
		<-ends
	}
	return err
}

func requestDestination(conn *net.UDPConn, is6 bool) error {
	if is6 {
		return ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	return ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
}

// A batchLoop reads, answers and writes batches with memory of its own.
type batchLoop struct {
	s       *Server
	conn    *net.UDPConn
	batch   batchConn
	later   *later
	is6     bool
	plain   plain
	in, out []ipv4.Message
	answers [][]byte
}

func (l *batchLoop) init(oob int) {
	l.in, l.out = make([]ipv4.Message, batchSize), make([]ipv4.Message, batchSize)
	l.answers = make([][]byte, batchSize)
	for i := range batchSize {
		l.in[i].Buffers = [][]byte{make([]byte, maxQuestion)}
		l.in[i].OOB = make([]byte, oob)
		l.out[i].Buffers = make([][]byte, 1)
		l.answers[i] = make([]byte, maxUDP)
	}
}

func (l *batchLoop) run() error {
	for {
		n, err := l.batch.ReadBatch(l.in, 0)
		if err != nil {
			// A signal, or a client that closed its port: neither is the end of the socket.
			if errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			return err
		}
		l.write(l.answer(l.in[:n]))
		l.s.count(&l.plain.tally)
	}
}

// answer answers what it can at once and returns how many answers there are to write.
func (l *batchLoop) answer(in []ipv4.Message) (k int) {
	for i := range in {
		m := &in[i]
		from, ok := m.Addr.(*net.UDPAddr)
		if !ok {
			continue
		}
		q, oob, client := m.Buffers[0][:m.N], replyFrom(m.OOB[:m.NN], l.is6), from.AddrPort().Addr().Unmap()
		size := l.s.answerPlain(&l.plain, q, l.answers[k], client)
		if size > 0 {
			o := &l.out[k]
			o.Buffers[0], o.Addr, o.OOB = l.answers[k][:size], from, oob
			k++
		}
		if size == 0 || l.plain.refresh {
			l.slow(q, oob, from, l.plain.refresh)
		}
	}
	return k
}

// slow hands a question to the general handler.
func (l *batchLoop) slow(q, oob []byte, from *net.UDPAddr, refresh bool) {
	q, oob = append([]byte(nil), q...), append([]byte(nil), oob...)
	l.later.answer(q, from.AddrPort().Addr().Unmap(), refresh, func(out []byte) {
		_, _, _ = l.conn.WriteMsgUDP(out, oob, from) // the client asks again
	})
}

// write writes the first k answers. One that cannot be sent is left out; its client asks again.
func (l *batchLoop) write(k int) {
	for out := l.out[:k]; len(out) > 0; {
		n, err := l.batch.WriteBatch(out, 0)
		if err != nil {
			n = 1
		}
		out = out[max(n, 1):]
	}
}

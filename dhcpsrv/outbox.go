package dhcpsrv

import (
	"errors"
	"net"
	"sync"
)

// batchSize bounds the datagrams of one system call.
const batchSize = 64

// outbox gathers the replies of one Serve, so that many leave with one system call, and keeps used
// jobs for later packets.
type outbox struct {
	s     *Server
	conn  BatchConn
	v6    bool
	port  uint16 // of the packets
	jobs  sync.Pool
	batch []*job  // being written
	out   []Reply // of batch
	fail  func(int, error)

	parked sync.WaitGroup // jobs that wait for Hosts, and calls of it

	mu      sync.Mutex
	waiting []*job
	writing bool
}

func newOutbox(s *Server, conn Conn, v6 bool, port uint16) *outbox {
	// A Conn without batches, such as one in memory, is served one packet at a time.
	b, ok := conn.(BatchConn)
	if !ok {
		b = singly{conn}
	}
	box := &outbox{s: s, conn: b, v6: v6, port: port}
	box.fail = box.failed // allocated once, not for each batch
	return box
}

// job makes a job of a received packet.
func (b *outbox) job(p *Packet) *job {
	j, ok := b.jobs.Get().(*job)
	if !ok {
		j = new(job)
	}
	j.data = append(j.data[:0], p.Data...)
	j.box, j.v6 = b, b.v6
	j.pkt = Packet{Data: j.data, Link: p.Link, Src: p.Src, Dst: p.Dst, Port: b.port}
	return j
}

func (b *outbox) recycle(j *job) {
	// After a panic, some goroutine may still hold the job.
	if j.lost {
		return
	}
	*j = job{data: j.data, out: j.out}
	b.jobs.Put(j)
}

// put leaves a reply to be sent by the next flush.
func (b *outbox) put(j *job) {
	b.mu.Lock()
	b.waiting = append(b.waiting, j)
	b.mu.Unlock()
}

// flush sends the waiting replies. When another goroutine is sending, that goroutine sends them
// too: workers do not queue for the socket.
func (b *outbox) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writing {
		return
	}
	b.writing = true
	for len(b.waiting) > 0 {
		b.batch, b.waiting = b.waiting, b.batch[:0]
		b.mu.Unlock()
		b.write()
		b.mu.Lock()
	}
	b.writing = false
}

func (b *outbox) write() {
	defer b.s.recovered("conn")
	b.out = b.out[:0]
	for _, j := range b.batch {
		b.out = append(b.out, j.reply)
	}
	b.conn.WriteBatch(b.out, b.fail)
	for i, j := range b.batch {
		b.recycle(j)
		b.batch[i] = nil
	}
}

func (b *outbox) failed(i int, err error) {
	// The server is about to end; its clients ask again.
	if errors.Is(err, net.ErrClosed) {
		return
	}
	b.s.stats.writeErrors.Add(1)
	b.s.faults.Warn("reply not sent", "ip", b.out[i].Dst, "interface", b.out[i].Link, "err", err)
}

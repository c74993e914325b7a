package dhcpsrv

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// batchSize is how many datagrams go through the system in one call at the most.
const batchSize = 64

// datagram is one received packet in memory of its reader.
type datagram struct {
	buf  []byte
	n    int
	link string // "" = of an interface that is not served
	src  netip.AddrPort
	dst  netip.Addr
}

// batchConn is a [Conn] that moves several datagrams with one system call. Each method is called by one goroutine at a time.
type batchConn interface {
	// readBatch waits for at least one datagram.
	readBatch(in []datagram) (n int, err error)
	// writeBatch sends the replies of jobs and calls failed for those that it cannot send.
	writeBatch(jobs []*job, failed func(*job, error))
}

// singly reads a Conn that knows no batches.
type singly struct{ Conn }

func (c singly) readBatch(in []datagram) (n int, err error) {
	d := &in[0]
	d.n, d.link, d.src, d.dst, err = c.ReadDHCP(d.buf)
	return 1, err
}

func (c singly) writeBatch(jobs []*job, failed func(*job, error)) {
	for _, j := range jobs {
		if err := c.WriteDHCP(j.reply.Data, j.reply.Link, j.reply.Src, j.reply.Dst, j.reply.HW); err != nil {
			failed(j, err)
		}
	}
}

// job is one packet on its way through the server. Its answer leaves when two things are done, in whatever order: it is
// built, and its lease is durable.
type job struct {
	pkt   Packet
	v6    bool
	box   *outbox           // where the answer goes; nil = to done
	done  func(Reply, bool) // called once, from any goroutine
	reply Reply             // what to send
	data  []byte            // memory of pkt.Data
	out   []byte            // memory of reply.Data

	asked  int     // probes made for it
	probe  *entry  // address to probe before the next run
	probe6 *entry6 // the same for IPv6

	steps  atomic.Int32
	failed atomic.Bool
	silent bool // there is no reply, but somebody waits for the commit
	lost   bool // handling it panicked, and somebody may still refer to it
}

// step counts one of the two things and ends the job after the second.
func (j *job) step() {
	if j.steps.Add(1) == 2 {
		j.end(!j.failed.Load() && !j.silent)
	}
}

// end sends the reply, or nothing. The job must not be used afterwards.
func (j *job) end(send bool) {
	switch {
	case j.box == nil:
		j.done(j.reply, send)
	case send:
		j.box.put(j)
	default:
		j.box.recycle(j)
	}
}

// outbox gathers the replies of one Serve, so that many go out with one system call, and keeps used jobs for others.
type outbox struct {
	s     *Server
	conn  batchConn
	v6    bool
	port  uint16 // of the packets
	jobs  sync.Pool
	batch []*job // being written
	fail  func(*job, error)

	mu      sync.Mutex
	waiting []*job
	writing bool
}

func newOutbox(s *Server, conn Conn, v6 bool, port uint16) *outbox {
	b, ok := conn.(batchConn)
	if !ok {
		b = singly{conn}
	}
	box := &outbox{s: s, conn: b, v6: v6, port: port}
	box.fail = box.failed // made once
	return box
}

// job makes a job of a received packet.
func (b *outbox) job(d *datagram) *job {
	j, ok := b.jobs.Get().(*job)
	if !ok {
		j = new(job)
	}
	j.data = append(j.data[:0], d.buf[:d.n]...)
	j.box, j.v6 = b, b.v6
	j.pkt = Packet{Data: j.data, Link: d.link, Src: d.src, Dst: d.dst, Port: b.port}
	return j
}

func (b *outbox) recycle(j *job) {
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

// flush sends what waits. When another goroutine is at it, that one sends this too.
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
	b.conn.writeBatch(b.batch, b.fail)
	for i, j := range b.batch {
		b.recycle(j)
		b.batch[i] = nil
	}
}

func (b *outbox) failed(j *job, err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	b.s.stats.writeErrors.Add(1)
	b.s.log.Warn("reply not sent", "dst", j.reply.Dst, "link", j.reply.Link, "err", err)
}

// handle runs a job of its own for one packet, for those who have no socket.
func (s *Server) handle(ctx context.Context, j *job) (reply Reply, ok bool) {
	done := make(chan struct{})
	j.done = func(r Reply, sent bool) {
		reply, ok = r, sent
		close(done)
	}
	for s.run(ctx, j) {
		s.probe(ctx, j)
	}
	select {
	case <-done:
		return reply, ok
	case <-ctx.Done():
		return Reply{}, false
	}
}

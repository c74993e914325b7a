package dhcpsrv

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// batchSize is how many datagrams go through the system in one call at the most.
const batchSize = 64

// singly moves one datagram at a time through a Conn that knows no batches.
type singly struct{ Conn }

func (c singly) ReadBatch(in []Packet) (n int, err error) {
	p := &in[0]
	b := p.Data[:cap(p.Data)]
	n, p.Link, p.Src, p.Dst, err = c.ReadDHCP(b)
	p.Data = b[:max(n, 0)]
	return 1, err
}

func (c singly) WriteBatch(out []Reply, failed func(int, error)) {
	for i := range out {
		r := &out[i]
		if err := c.WriteDHCP(r.Data, r.Link, r.Src, r.Dst, r.HW); err != nil {
			failed(i, err)
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
	conn  BatchConn
	v6    bool
	port  uint16 // of the packets
	jobs  sync.Pool
	batch []*job  // being written
	out   []Reply // of batch
	fail  func(int, error)

	mu      sync.Mutex
	waiting []*job
	writing bool
}

func newOutbox(s *Server, conn Conn, v6 bool, port uint16) *outbox {
	b, ok := conn.(BatchConn)
	if !ok {
		b = singly{conn}
	}
	box := &outbox{s: s, conn: b, v6: v6, port: port}
	box.fail = box.failed // made once
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
	if errors.Is(err, net.ErrClosed) {
		return
	}
	b.s.stats.writeErrors.Add(1)
	b.s.log.Warn("reply not sent", "dst", b.out[i].Dst, "link", b.out[i].Link, "err", err)
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

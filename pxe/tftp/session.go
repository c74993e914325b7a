package tftp

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// transfer is a running transfer as its listener sees it.
type transfer struct {
	request string      // the packet that started it
	moving  atomic.Bool // the client acknowledged something
	cancel  context.CancelCauseFunc
	shared  *sharedWire // nil when it has a socket of its own
	events  func(Transfer)

	client   netip.Addr
	stranger bool        // the client has acknowledged nothing so far
	mute     atomic.Bool // the client was sent its first packet as often as it may be
	start    func()      // runs the transfer, which has a place

	// Guarded by the mutex of places.
	placed, large bool
	entered       time.Time
	half          *list.Element // nil once the client acknowledged something
}

// run serves one request to its end.
func (t *transfer) run(ctx context.Context, s *Server, r *Request) Transfer {
	stats := Transfer{Write: r.Write, Name: r.Name, Mode: r.Mode, Client: r.Client, Local: r.Local, Asked: r.Options,
		Granted: Options{BlockSize: defaultBlockSize, WindowSize: 1}, Start: time.Now(), Size: -1}
	w, err := t.wire(s, r)
	if err == nil {
		stop := context.AfterFunc(ctx, w.interrupt)
		if r.Write {
			err = t.receive(ctx, s, r, w, &stats)
		} else {
			err = t.serve(ctx, s, r, w, &stats)
		}
		stop()
		w.close()
	}
	stats.Duration = time.Since(stats.Start)
	if !errors.Is(err, errFinished) {
		stats.Err = err
	}
	return stats
}

// wire opens the way to the client.
func (t *transfer) wire(s *Server, r *Request) (wire, error) {
	if t.shared != nil {
		return t.shared, nil
	}
	network := "udp4"
	if r.Client.Addr().Is6() {
		network = "udp6"
	}
	var laddr *net.UDPAddr
	if r.Local.IsValid() {
		laddr = &net.UDPAddr{IP: r.Local.AsSlice(), Zone: r.Local.Zone()}
	}
	conn, err := s.cfg.DialUDP(network, laddr, net.UDPAddrFromAddrPort(r.Client))
	if err != nil {
		return nil, fmt.Errorf("tftp: socket to %s: %w", r.Client, err)
	}
	return newUDPWire(conn, r.Client), nil
}

// serve opens the file, agrees on options and sends.
func (t *transfer) serve(ctx context.Context, s *Server, r *Request, w wire, stats *Transfer) error {
	f, err := s.cfg.Handler.Open(ctx, r)
	if f.Events != nil {
		t.events = f.Events
	}
	if err != nil {
		_ = w.write(appendError(nil, wireError(err)))
		return err
	}
	src := f.Reader
	if _, isFile := src.(fs.File); isFile && t.stranger && r.Options.any() {
		// A stranger holds no file of the server before it has answered.
		_ = f.Close()
		later := &parked{open: func() (File, error) { return s.cfg.Handler.Open(ctx, r) }, size: f.Size}
		f.Reader, src = later, later
	}
	defer f.Close()
	stats.Size = f.Size
	ok, victim := s.places.enlarge(t, f.Size)
	if victim != nil {
		victim.cancel(ErrBusy)
	}
	if !ok {
		return ErrBusy // without a word, so that the client asks again
	}
	if r.Mode == NetASCII {
		// The size on the wire is known only when all of the text was converted.
		src, stats.Size = newNetASCII(src), -1
	}
	granted, oack := s.cfg.grant(r.Options, stats.Size, w.payload())
	stats.Granted = granted
	if t.stranger && oack == nil && !s.strangers.answerable(t.client, len(t.request), firstBlock(granted.BlockSize, stats.Size)) {
		return errAgain
	}
	snd := &sender{wire: w, win: newWindow(src, granted.BlockSize, granted.WindowSize), silence: s.cfg.Silence,
		asked: r.Options.AskSize, stats: stats, moving: &t.moving, quiet: &t.mute, greetings: maxGreetings,
		opened: func() {
			s.strangers.meet(t.client)
			s.places.open(t)
		}}
	if t.stranger && oack == nil {
		snd.greetings = 1 // see strangers
	}
	snd.rtt.limit = granted.Timeout
	if oack != nil {
		err = snd.negotiate(ctx, oack)
	}
	if err == nil {
		err = snd.run(ctx)
	}
	stats.RTT = snd.rtt.smooth
	if errors.Is(err, ErrBusy) || errors.Is(err, ErrTimeout) && !t.moving.Load() {
		return err // without a word, to a client that may not have asked
	}
	if fromPeer := (*Error)(nil); err != nil && !errors.As(err, &fromPeer) && !errors.Is(err, ErrAborted) {
		_ = w.write(appendError(nil, &Error{Message: "transfer ended by the server"}))
	}
	return err
}

// firstBlock returns the size of the first packet of data; a file of unknown size (-1) fills it.
func firstBlock(blockSize int, size int64) int {
	if size >= 0 {
		blockSize = int(min(int64(blockSize), size))
	}
	return headerSize + blockSize
}

// grant decides on the options. It returns those in force and the OACK, nil when none was agreed
// on. Payload is the largest datagram that is not fragmented, 0 when unknown.
func (c *Config) grant(asked Options, size int64, payload int) (Options, []byte) {
	force := Options{BlockSize: defaultBlockSize, WindowSize: 1}
	var answer Options
	if asked.BlockSize > 0 {
		b := min(asked.BlockSize, c.BlockSize)
		if fits := payload - headerSize; !c.AllowFragments && fits > 0 {
			// 512 is the least: a client without options has buffers for it (RFC 1350).
			b = min(b, max(fits, defaultBlockSize))
		}
		force.BlockSize, answer.BlockSize = b, b
	}
	if asked.WindowSize > 0 {
		// A window that does not fit the client's receive buffer loses its tail every time.
		n := min(asked.WindowSize, c.WindowSize, max(c.windowBytes(force.BlockSize)/force.BlockSize, 1))
		force.WindowSize, answer.WindowSize = n, n
	}
	if asked.Timeout > 0 {
		force.Timeout, answer.Timeout = asked.Timeout, asked.Timeout
	}
	// A wrong size is worse than none: UEFI allocates its buffer by it.
	if asked.AskSize && size >= 0 {
		force.AskSize, force.Size = true, size
		answer.AskSize, answer.Size = true, size
	}
	oack := answer.appendTo([]byte{0, opOACK})
	if len(oack) == 2 {
		return force, nil
	}
	return force, oack
}

// windowBytes is the budget for windows of the given block size.
func (c *Config) windowBytes(block int) int {
	const frame = 1472 // UDP payload of an Ethernet frame
	switch {
	case c.WindowBytes > 0:
		return c.WindowBytes
	case block <= frame:
		return 96 << 10
	}
	return 64 << 10
}

package tftp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// Client reads files. Its zero value sends no options and so works with every server, slowly. A
// Client is a plain value and may be used from many goroutines.
type Client struct {
	BlockSize  int           // blksize to ask for, in bytes; 0 asks for none (512)
	WindowSize int           // windowsize to ask for, in blocks; 0 asks for none (1)
	Timeout    time.Duration // timeout to ask for, in whole seconds; 0 asks for none
	AskSize    bool          // ask for the size
	Mode       Mode          // empty means Octet

	// Resend is the silence after which the last packet is sent again; 0 means 1 s.
	Resend time.Duration
	// Tries is the number of repetitions in a row before giving up; 0 means 6.
	Tries int
}

// Get reads the file name from the server at address "host:port" into w, from a socket of its own.
func (c Client) Get(ctx context.Context, address, name string, w io.Writer) (Transfer, error) {
	server, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return Transfer{}, fmt.Errorf("tftp: %w", err)
	}
	network := "udp4"
	if server.IP.To4() == nil {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		return Transfer{}, fmt.Errorf("tftp: %w", err)
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(receiveBuffer)
	if c.WindowSize > 1 {
		_ = joinDatagrams(conn) // else they come one by one
	}
	return c.GetFrom(ctx, conn, server, name, w)
}

// GetFrom reads a file over conn, which must not be used for anything else meanwhile. The Transfer
// is filled in even when there is an error.
func (c Client) GetFrom(ctx context.Context, conn net.PacketConn, server net.Addr, name string, w io.Writer) (Transfer, error) {
	g := c.newGetter(conn, server, name)
	var flush func() error
	g.out = w
	if g.stats.Mode == NetASCII {
		n := &netASCIIWriter{w: w}
		g.out, flush = n, n.flush
	}
	stop := context.AfterFunc(ctx, g.in.interrupt)
	defer stop()
	err := g.run(ctx)
	if err == nil && flush != nil {
		err = flush()
	}
	g.stats.Duration = time.Since(g.stats.Start)
	g.stats.Err = err
	return g.stats, err
}

// Size asks for the size of a file and ends the transfer with ERROR 8 once it is known, as UEFI
// does before each real read. A server that does not tell is errors.ErrUnsupported.
func (c Client) Size(ctx context.Context, conn net.PacketConn, server net.Addr, name string) (int64, error) {
	c.AskSize = true
	g := c.newGetter(conn, server, name)
	g.out, g.probe = io.Discard, true
	stop := context.AfterFunc(ctx, g.in.interrupt)
	defer stop()
	err := g.run(ctx)
	if errors.Is(err, ErrAborted) {
		return g.stats.Size, nil
	}
	if err == nil {
		err = fmt.Errorf("tftp: size of %s: %w", clean(name), errors.ErrUnsupported)
	}
	return -1, err
}

func (c Client) newGetter(conn net.PacketConn, server net.Addr, name string) *getter {
	if c.Resend <= 0 {
		c.Resend = time.Second
	}
	if c.Tries <= 0 {
		c.Tries = 6
	}
	if c.Mode == "" {
		c.Mode = Octet
	}
	asked := Options{BlockSize: c.BlockSize, WindowSize: c.WindowSize, Timeout: c.Timeout, AskSize: c.AskSize}
	return &getter{
		Client: c, in: newReceiver(conn), peer: addrPortOf(server), send: server,
		last: appendRequest(nil, name, c.Mode, asked),
		stats: Transfer{Name: name, Mode: c.Mode, Client: addrPortOf(conn.LocalAddr()), Local: addrOf(server), Asked: asked,
			Granted: Options{BlockSize: defaultBlockSize, WindowSize: 1}, Start: time.Now(), Size: -1},
	}
}

// getter is one transfer of a Client.
type getter struct {
	Client
	in    *receiver
	peer  netip.AddrPort // the server, then the port that answers from its address
	send  net.Addr       // the same
	fixed bool           // the answer has come
	out   io.Writer
	probe bool
	last  []byte // packet to repeat after silence
	stats Transfer

	next    uint64 // block expected
	unacked int    // blocks since the last acknowledgement
	gapped  bool   // the gap before the next block was reported
	done    bool
}

func (g *getter) run(ctx context.Context) error {
	g.next = 1
	if err := g.write(g.last); err != nil {
		return err
	}
	for tries := 0; !g.done; {
		p, err := g.read()
		switch {
		case ctx.Err() != nil:
			_ = g.write(appendError(nil, &Error{Message: "cancelled"}))
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			if tries++; tries > g.Tries {
				return ErrTimeout
			}
			g.stats.Timeouts++
			g.gapped = false
			err = g.write(g.last)
		case err == nil && len(p) > 0:
			tries = 0
			err = g.handle(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read returns the next packet of the server, or an empty one when another host sent it.
func (g *getter) read() ([]byte, error) {
	p, from, err := g.in.next(time.Now().Add(g.Resend))
	switch {
	case err != nil:
		return nil, err
	// The server answers from a port of its choice, which is fixed by its first packet (RFC 1350
	// section 4).
	case g.fixed && from != g.peer, !g.fixed && from.Addr() != g.peer.Addr():
		return nil, nil
	case !g.fixed:
		g.peer, g.send, g.fixed = from, net.UDPAddrFromAddrPort(from), true
	}
	return p, nil
}

func (g *getter) write(p []byte) error {
	var err error
	if g.in.udp != nil {
		_, err = g.in.udp.WriteToUDPAddrPort(p, g.peer)
	} else {
		_, err = g.in.conn.WriteTo(p, g.send)
	}
	return lasting(err)
}

func (g *getter) handle(p []byte) error {
	switch opcode(p) {
	case opERROR:
		return parseError(p)
	case opOACK:
		return g.oack(parseOptions(p[2:]))
	case opDATA:
		if len(p) >= headerSize {
			return g.data(binary.BigEndian.Uint16(p[2:]), p[headerSize:])
		}
	}
	return nil
}

// oack takes the options the server agreed to.
func (g *getter) oack(o Options) error {
	// A repeated OACK must not change what blocks were already counted by.
	if g.next > 1 || g.unacked > 0 {
		return nil
	}
	if o.BlockSize > 0 {
		g.stats.Granted.BlockSize = o.BlockSize
	}
	if o.WindowSize > 0 {
		g.stats.Granted.WindowSize = o.WindowSize
	}
	g.stats.Granted.Timeout = o.Timeout
	if o.AskSize {
		g.stats.Granted.AskSize, g.stats.Granted.Size, g.stats.Size = true, o.Size, o.Size
	}
	if o.BlockSize > max(g.BlockSize, defaultBlockSize) || o.WindowSize > max(g.WindowSize, 1) {
		e := &Error{Code: CodeOptionRefused, Message: "more was granted than asked for"}
		_ = g.write(appendError(nil, e))
		return e
	}
	if g.probe && o.AskSize {
		_ = g.write(appendError(nil, &Error{Code: CodeOptionRefused, Message: "only the size was wanted"}))
		return ErrAborted
	}
	return g.ack(0)
}

// data takes a block. One out of order is answered once with the last in order, which makes the
// server resume there (RFC 7440 section 4).
func (g *getter) data(block uint16, p []byte) error {
	g.stats.Packets++
	if len(p) > g.stats.Granted.BlockSize {
		return fmt.Errorf("tftp: block of %d bytes, agreed were %d", len(p), g.stats.Granted.BlockSize)
	}
	if block != uint16(g.next) {
		g.stats.Retransmits++
		// One answer a gap: each further one would make the server send its window again.
		if g.gapped || g.next == 1 && block == 0 {
			return nil
		}
		g.gapped = true
		return g.ack(g.next - 1)
	}
	if _, err := g.out.Write(p); err != nil {
		_ = g.write(appendError(nil, &Error{Code: CodeDiskFull, Message: "cannot write"}))
		return err
	}
	g.stats.Bytes += int64(len(p))
	g.next++
	g.unacked++
	g.gapped = false
	g.done = len(p) < g.stats.Granted.BlockSize
	if g.done || g.unacked >= g.stats.Granted.WindowSize {
		return g.ack(g.next - 1)
	}
	return nil
}

func (g *getter) ack(block uint64) error {
	g.unacked = 0
	g.last = appendHeader(g.last[:0], opACK, uint16(block))
	return g.write(g.last)
}

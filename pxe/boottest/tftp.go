package boottest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// TFTP opcodes (RFC 1350, 2347).
const (
	tftpRRQ   = 1
	tftpData  = 3
	tftpAck   = 4
	tftpError = 5
	tftpOACK  = 6
)

const (
	tftpSilence = time.Second // after which the last packet is sent again
	tftpTries   = 6           // silences in a row before it gives up
)

// tftpGet is one transfer, as simple firmware does it: it keeps nothing out of order.
type tftpGet struct {
	conn   *packetConn
	server netip.AddrPort // port 69, then the one of the transfer
	opts   TFTPOptions
	probe  bool // break off once the size is known
	out    io.Writer
	fetch  *Fetch
	tick   func()

	block  uint64 // last one received in order
	inWin  int    // blocks since the last ACK
	known  bool   // the server's port
	gapped bool   // an ACK for this gap has been sent
	last   []byte // packet to send again
}

// errProbed ends a transfer that only asked for the size.
var errProbed = errors.New("size is known")

// tftp reads a file from a server into w, and fills in what was negotiated.
func (b *boot) tftp(ctx context.Context, server netip.Addr, name string, opts TFTPOptions, probe bool, w io.Writer, f *Fetch, tick func()) error {
	conn, err := b.node.listenUDP(0)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	g := &tftpGet{conn: conn, server: netip.AddrPortFrom(server, 69), opts: opts, probe: probe, out: w, fetch: f, tick: tick}
	// What holds when the server answers no option (RFC 1350).
	f.BlockSize, f.WindowSize, f.Size = 512, 1, -1
	if err = g.run(name); ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// request makes the read request.
func (g *tftpGet) request(name string) []byte {
	b := append([]byte{0, tftpRRQ}, name+"\x00octet\x00"...)
	names := g.opts.Names
	if names == nil {
		names = []string{"blksize", "windowsize", "tsize"}
	}
	for _, option := range names {
		value := ""
		switch {
		case option == "blksize" && g.opts.BlockSize > 0:
			value = strconv.Itoa(g.opts.BlockSize)
		case option == "windowsize" && g.opts.WindowSize > 0:
			value = strconv.Itoa(g.opts.WindowSize)
		case option == "tsize" && g.opts.AskSize:
			value = "0"
		default:
			continue
		}
		b = append(b, option+"\x00"+value+"\x00"...)
	}
	return b
}

func (g *tftpGet) run(name string) error {
	if err := g.send(g.request(name)); err != nil {
		return err
	}
	for tries := 0; ; {
		g.conn.SetReadDeadline(time.Now().Add(tftpSilence))
		d, err := g.conn.receive()
		switch {
		case isTimeout(err):
			if tries++; tries == tftpTries {
				return fmt.Errorf("no answer from %v for %d s", g.server, tftpTries)
			}
			g.fetch.Resent++
			err = g.send(g.last)
		case err == nil && !g.mine(d.from):
			continue
		case err == nil:
			var done, moved bool
			done, moved, err = g.handle(d.data)
			d.release()
			if done {
				return nil
			}
			// Only progress counts: a server that repeats itself must not keep the client waiting
			// for ever.
			if moved {
				tries = 0
			}
		}
		if err != nil {
			return err
		}
	}
}

// mine accepts the port of the first answer as the transfer's, and only that from then on (RFC 1350
// section 4).
func (g *tftpGet) mine(from netip.AddrPort) bool {
	if from.Addr() != g.server.Addr() || g.known && from != g.server {
		return false
	}
	g.server, g.known = from, true
	return true
}

func (g *tftpGet) send(b []byte) error {
	g.last = b
	return g.conn.send(b, netip.Addr{}, g.server, nil)
}

func (g *tftpGet) ack(block uint64) error {
	g.inWin = 0
	return g.send(binary.BigEndian.AppendUint16([]byte{0, tftpAck}, uint16(block)))
}

// handle takes one packet. moved says that the transfer got on.
func (g *tftpGet) handle(b []byte) (done, moved bool, err error) {
	if len(b) < 4 {
		return false, false, nil
	}
	switch binary.BigEndian.Uint16(b) {
	case tftpError:
		return false, false, tftpFailure(b)
	case tftpOACK:
		if g.block > 0 {
			return false, false, nil
		}
		if err := g.negotiated(b[2:]); err != nil {
			g.abort(8, "option refused")
			return false, false, err
		}
		if g.probe {
			g.abort(8, "User aborted the transfer")
			return false, false, errProbed
		}
		return false, true, g.ack(0)
	case tftpData:
		return g.data(binary.BigEndian.Uint16(b[2:]), b[4:])
	}
	return false, false, nil
}

// tftpFailure turns an ERROR into an error; "file not found" wraps fs.ErrNotExist.
func tftpFailure(b []byte) error {
	text, _, _ := bytes.Cut(b[4:], []byte{0})
	code := binary.BigEndian.Uint16(b[2:])
	if code == 1 {
		return fmt.Errorf("tftp error 1: %s: %w", text, fs.ErrNotExist)
	}
	return fmt.Errorf("tftp error %d: %s", code, text)
}

func (g *tftpGet) abort(code uint16, text string) {
	b := binary.BigEndian.AppendUint16([]byte{0, tftpError}, code)
	_ = g.conn.send(append(b, text+"\x00"...), netip.Addr{}, g.server, nil)
}

// negotiated reads an OACK. A server may lower what was asked for, and may not grant what was not
// (RFC 2347, 7440).
func (g *tftpGet) negotiated(b []byte) error {
	fields := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	if len(fields)%2 != 0 {
		return errors.New("tftp: malformed OACK")
	}
	for i := 0; i < len(fields); i += 2 {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return fmt.Errorf("tftp: OACK with %s=%q", fields[i], fields[i+1])
		}
		switch name := strings.ToLower(fields[i]); {
		case name == "blksize" && g.opts.BlockSize > 0 && n >= 8 && n <= int64(g.opts.BlockSize):
			g.fetch.BlockSize = int(n)
		case name == "windowsize" && g.opts.WindowSize > 0 && n >= 1 && n <= int64(g.opts.WindowSize):
			g.fetch.WindowSize = int(n)
		case name == "tsize" && g.opts.AskSize:
			g.fetch.Size = n
		default:
			return fmt.Errorf("tftp: OACK grants %s=%d, which was not asked for", fields[i], n)
		}
	}
	return nil
}

// data takes a block in order. After a gap it acknowledges the last block in order once, and waits
// for the next one (RFC 7440 section 4).
func (g *tftpGet) data(number uint16, payload []byte) (done, moved bool, err error) {
	if number != uint16(g.block+1) {
		if g.gapped {
			return false, false, nil
		}
		g.gapped = true
		return false, false, g.ack(g.block)
	}
	if len(payload) > g.fetch.BlockSize {
		return false, false, fmt.Errorf("tftp: block of %d bytes, %d were agreed on", len(payload), g.fetch.BlockSize)
	}
	if g.probe {
		g.abort(0, "no size told")
		return false, false, errProbed
	}
	if _, err := g.out.Write(payload); err != nil {
		return false, false, err
	}
	g.block++
	g.inWin++
	g.gapped = false
	g.fetch.Bytes += int64(len(payload))
	g.tick()
	if last := len(payload) < g.fetch.BlockSize; last || g.inWin >= g.fetch.WindowSize {
		return last, true, g.ack(g.block)
	}
	return false, true, nil
}

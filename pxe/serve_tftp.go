package pxe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/tftp"
)

// ServeTFTP answers TFTP requests on conn, usually port 69, until ctx ends; see tftp.Server.Serve.
// It closes conn.
func (s *Server) ServeTFTP(ctx context.Context, conn net.PacketConn) error {
	return s.tftp.Serve(ctx, conn)
}

// openTFTP opens the file of a TFTP request. Its event is completed when the transfer ends.
func (s *Server) openTFTP(ctx context.Context, r *tftp.Request) (tftp.File, error) {
	c, e, err := s.open(ctx, inbound{proto: firmware.TFTP, path: r.Name, addr: r.Client.Addr(), server: r.Local})
	ended := func(t tftp.Transfer) { s.transferred(e, t) }
	if err != nil {
		return tftp.File{Events: ended}, wireError(err)
	}
	return tftp.File{Reader: c.ReadCloser, Size: c.size, Events: ended}, nil
}

// wireError keeps causes and paths of this machine off the wire, and the cause for the event.
func wireError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w (%w)", &tftp.Error{Message: "the boot server failed, see its log"}, err)
}

// dropped reports a request that was dropped before its file was opened.
func (s *Server) dropped(t tftp.Transfer) {
	s.transferred(&Event{Stage: StageFile, Addr: t.Client.Addr(), Server: t.Local, Arch: firmware.ArchUnknown, Path: t.Name, Proto: string(firmware.TFTP), Size: -1}, t)
}

// transferred completes an event by its transfer and sends it.
func (s *Server) transferred(e *Event, t tftp.Transfer) {
	e.Bytes, e.Duration, e.RTT = t.Bytes, t.Duration, t.RTT
	e.BlockSize, e.WindowSize = t.Granted.BlockSize, t.Granted.WindowSize
	e.Retransmits, e.Timeouts = int(t.Retransmits), int(t.Timeouts)
	err := t.Err
	if errors.Is(err, tftp.ErrAborted) {
		e.Probe, err = true, nil
	}
	s.finish(e, err)
}

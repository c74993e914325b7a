package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Creator is an optional ability of a Handler: it takes the files that clients write, such as
// switches that save their configuration. Without it every write is refused.
type Creator interface {
	// Create is called once a write, as Open is for a read. UDP senders can be forged: nothing says
	// that the request is from the client until the first Write.
	Create(ctx context.Context, r *Request) (Upload, error)
}

// Upload takes one file.
type Upload struct {
	// Write is called with the file's data in order, from one goroutine.
	io.Writer
	// Limit bounds the file in bytes; 0 = 16 MiB. A client that announces or sends more is refused.
	Limit int64
	// Done is called once at the end: with nil when the file is whole, and else with what ended it,
	// so that what was written is to be thrown away. Its error is sent to the client, which else
	// learns that the file is kept. If nil, nothing is called.
	Done func(cause error) error
}

const defaultLimit = 16 << 20

// uploadTries bounds how often an answer is repeated to a client that has sent no data yet.
const uploadTries = maxGreetings

// upload is one running write.
type upload struct {
	*Upload
	t       *transfer
	s       *Server
	wire    wire
	stats   *Transfer
	rtt     rtt
	out     io.Writer
	flush   func() error
	granted Options
	last    uint64 // block that was written last
	acked   uint64 // block that was acknowledged last
	answer  []byte // that is repeated
	gap     bool   // a block is missing, which was said already
}

// receive serves one write request.
func (t *transfer) receive(ctx context.Context, s *Server, r *Request, w wire, stats *Transfer) error {
	creator, ok := s.cfg.Handler.(Creator)
	if !ok {
		return errReadOnly // handle has refused it
	}
	file, err := creator.Create(ctx, r)
	if err == nil && file.Writer == nil {
		err = errors.New("tftp: Create returned no Writer")
	}
	if err == nil {
		if file.Limit <= 0 {
			file.Limit = defaultLimit
		}
		err = t.take(ctx, s, r, w, stats, &file)
		if file.Done != nil {
			if derr := file.Done(err); err == nil {
				err = derr
			}
		}
	}
	fromPeer := (*Error)(nil)
	switch {
	case err == nil:
		return finish(ctx, w, stats)
	case errors.As(err, &fromPeer) && fromPeer.Remote, errors.Is(err, ErrTimeout), errors.Is(err, ErrBusy):
		return err // the client knows, or is gone
	}
	_ = w.write(appendError(nil, writeError(err)))
	return err
}

// writeError is wireError for writes.
func writeError(err error) *Error {
	if e := wireError(err); e.Code != CodeUndefined || e.Message != "cannot read the file" {
		return e
	}
	return &Error{Code: CodeUndefined, Message: "cannot write the file"}
}

var errReadOnly = &Error{Code: CodeAccess, Message: "this server only serves reads"}

func tooLarge(limit int64) error {
	return &Error{Code: CodeDiskFull, Message: fmt.Sprintf("the file is larger than the %d bytes that are taken", limit)}
}

// take agrees on options and takes all blocks but acknowledges the last one not, since the file is
// not kept yet.
func (t *transfer) take(ctx context.Context, s *Server, r *Request, w wire, stats *Transfer, file *Upload) error {
	if r.Options.AskSize && r.Options.Size > file.Limit {
		return tooLarge(file.Limit)
	}
	asked := r.Options
	if t.shared != nil {
		asked.WindowSize = min(asked.WindowSize, cap(t.shared.in)/2) // else its queue loses the tail
	}
	granted, oack := s.cfg.grant(asked, asked.Size, w.payload())
	stats.Granted = granted
	u := &upload{Upload: file, t: t, s: s, wire: w, stats: stats, out: file.Writer, granted: granted, answer: oack}
	u.rtt.limit = granted.Timeout
	if oack == nil {
		u.answer = appendHeader(nil, opACK, 0)
	}
	if r.Mode == NetASCII {
		text := &netASCIIWriter{w: file.Writer}
		u.out, u.flush = text, text.flush
	}
	return u.run(ctx)
}

func (u *upload) run(ctx context.Context) error {
	b := make([]byte, headerSize+u.granted.BlockSize+1) // a larger block shows
	heard, tries := time.Now(), 0
	for {
		if u.t.moving.Load() || tries < uploadTries {
			if err := u.wire.write(u.answer); err != nil {
				return err
			}
		}
		tries++
		deadline := time.Now().Add(u.rtt.timeout())
		for {
			n, err := u.wire.read(b, deadline)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			heard = time.Now()
			final, reply, err := u.packet(b[:n])
			if final || err != nil {
				return err
			}
			if reply {
				u.rtt.progress()
				if err := u.wire.write(u.answer); err != nil {
					return err
				}
			}
			deadline = time.Now().Add(u.rtt.timeout())
		}
		silence := u.s.cfg.Silence
		if !u.t.moving.Load() {
			silence = min(silence, greetingTime)
		}
		if time.Since(heard) >= silence {
			return ErrTimeout
		}
		u.stats.Timeouts++
		u.rtt.expired()
		u.acknowledge()
	}
}

// acknowledge makes the answer one for what has arrived, unless nothing has.
func (u *upload) acknowledge() {
	if u.last > 0 {
		u.acked = u.last
		u.answer = appendHeader(u.answer[:0], opACK, uint16(u.last))
	}
}

// packet takes one packet of the client. It returns whether it was the last block, and whether an
// answer is due.
func (u *upload) packet(p []byte) (final, reply bool, err error) {
	switch opcode(p) {
	case opERROR:
		return false, false, parseError(p)
	case opDATA:
	default:
		return false, false, nil
	}
	block, err := blockNumber(p)
	if err != nil {
		return false, false, nil
	}
	data := p[headerSize:]
	if len(data) > u.granted.BlockSize {
		return false, false, &Error{Code: CodeIllegal, Message: "the block is larger than agreed"}
	}
	u.stats.Packets++
	if !u.t.moving.Load() {
		u.t.moving.Store(true)
		u.s.strangers.meet(u.t.client)
		u.s.places.open(u.t)
	}
	// Numbers roll over in files of more than 65,535 blocks.
	if ahead := int16(block - uint16(u.last)); ahead != 1 {
		u.stats.Retransmits++
		// The client learns of a gap once, where it is to go on (RFC 7440 section 4), and of each
		// repetition only without windows: the last of a repeated window will say it again.
		again := ahead > 1 && !u.gap || ahead <= 0 && (u.granted.WindowSize == 1 || block == uint16(u.acked))
		u.gap = u.gap || ahead > 1
		if again {
			u.acknowledge()
		}
		return false, again, nil
	}
	if u.stats.Bytes+int64(len(data)) > u.Limit {
		return false, false, tooLarge(u.Limit)
	}
	if _, err := u.out.Write(data); err != nil {
		return false, false, err
	}
	u.last, u.gap = u.last+1, false
	u.stats.Bytes += int64(len(data))
	if len(data) < u.granted.BlockSize {
		if u.flush != nil {
			err = u.flush()
		}
		u.stats.Size = u.stats.Bytes
		return true, false, err
	}
	if u.last-u.acked >= uint64(u.granted.WindowSize) {
		u.acknowledge()
		return false, true, nil
	}
	return false, false, nil
}

// finish acknowledges the last block, and its repetitions: the acknowledgment may be lost, and the
// file is kept all the same.
func finish(ctx context.Context, w wire, stats *Transfer) error {
	blocks := uint64(stats.Bytes)/uint64(stats.Granted.BlockSize) + 1
	answer := appendHeader(nil, opACK, uint16(blocks))
	b := make([]byte, headerSize)
	for end := time.Now().Add(lingerTime); ; {
		if err := w.write(answer); err != nil {
			return nil // the client left, with what it wanted
		}
		for {
			n, err := w.read(b, end)
			if err != nil || ctx.Err() != nil {
				return nil
			}
			if opcode(b[:n]) == opDATA {
				break
			}
		}
	}
}

// lingerTime is the time for which the last block is acknowledged again: two of a client's
// timeouts.
const lingerTime = 2 * time.Second

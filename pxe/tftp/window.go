package tftp

import (
	"encoding/binary"
	"errors"
	"io"
)

// window holds the DATA packets that may be in flight, back to back and ready to be sent, so that a
// run of them is one slice.
type window struct {
	src   io.Reader
	block int // payload size
	size  int // packets in a full window

	base  uint64 // block number, not wrapped, of the first packet
	count int    // packets held
	last  int    // payload of the last packet held
	final bool   // the last packet held ends the file
	buf   []byte

	ahead []byte // read and not yet in a packet: whole blocks, unless it ends the file
	space []byte // what ahead is a part of
	eof   bool
	err   error // of the last read
}

// minRead is the size of a read when windows are smaller.
const minRead = 32 << 10

func newWindow(src io.Reader, block, size int) *window {
	return &window{src: src, block: block, size: size, base: 1}
}

func (w *window) segment() int { return w.block + headerSize }

// prefetch reads the data of the next packets, to be done while the client is busy with the last
// ones.
func (w *window) prefetch() {
	if len(w.ahead) > 0 || w.eof || w.err != nil {
		return
	}
	// The first window is all that a client may get that does not exist.
	want := w.size * w.block
	if w.base > 1 {
		want = max(w.size, minRead/w.block) * w.block
	}
	if len(w.space) < want {
		w.space = make([]byte, want)
	}
	n, err := io.ReadFull(w.src, w.space)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		w.eof = true
	case err != nil:
		w.err = err
		return
	}
	w.ahead = w.space[:n]
}

// fill makes packets until the window is full or the file ends.
func (w *window) fill() error {
	if w.buf == nil {
		w.buf = make([]byte, w.size*w.segment())
	}
	for w.count < w.size && !w.final {
		w.prefetch()
		if w.err != nil {
			return w.err
		}
		w.add()
	}
	return nil
}

// add makes one packet of what was read. A short one, which may be empty, ends the file.
func (w *window) add() {
	p := w.buf[w.count*w.segment():]
	binary.BigEndian.PutUint16(p, opDATA)
	binary.BigEndian.PutUint16(p[2:], uint16(w.base+uint64(w.count)))
	w.last = copy(p[headerSize:w.segment()], w.ahead)
	w.ahead = w.ahead[w.last:]
	// A file whose size is a multiple of the block ends with an empty packet (RFC 1350 section 6).
	w.final = w.last < w.block
	w.count++
}

// advance drops the first k packets and returns the bytes of file they held.
func (w *window) advance(k int) int64 {
	bytes := int64(k) * int64(w.block)
	if k == w.count {
		bytes += int64(w.last - w.block)
	} else {
		copy(w.buf, w.buf[k*w.segment():w.count*w.segment()])
	}
	w.count -= k
	w.base += uint64(k)
	return bytes
}

// done reports whether everything was sent and acknowledged.
func (w *window) done() bool { return w.final && w.count == 0 }

// packets returns packets i to j, back to back.
func (w *window) packets(i, j int) []byte {
	end := j * w.segment()
	if j == w.count {
		end += w.last - w.block
	}
	return w.buf[i*w.segment() : end]
}

// reaches reports whether beyond has something to return.
func (w *window) reaches() bool { return w.size > 1 && len(w.ahead) >= 2*w.block }

// beyond returns the second packet after the window, nil when the file does not go that far, is not
// read that far, or there are no windows.
func (w *window) beyond() []byte {
	if !w.reaches() {
		return nil
	}
	p := appendHeader(make([]byte, 0, w.segment()), opDATA, uint16(w.base+uint64(w.count)+1))
	return append(p, w.ahead[w.block:2*w.block]...)
}

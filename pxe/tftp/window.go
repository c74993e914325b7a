package tftp

import (
	"encoding/binary"
	"errors"
	"io"
)

// window holds the DATA packets that may be in flight, back to back and ready
// to be sent, so that a run of them is one slice.
type window struct {
	src   io.Reader
	block int // payload size
	size  int // packets in a full window

	base  uint64 // block number, not wrapped, of the first packet
	count int    // packets held
	last  int    // payload of the last packet held
	final bool   // the last packet held ends the file
	buf   []byte
}

func newWindow(src io.Reader, block, size int) *window {
	return &window{src: src, block: block, size: size, base: 1}
}

func (w *window) segment() int { return w.block + headerSize }

// fill reads until the window is full or the file ends. The data of all new
// packets is read with one call to the end of the space and then moved down to
// make room for the headers.
func (w *window) fill() error {
	want := w.size - w.count
	if want == 0 || w.final {
		return nil
	}
	if w.buf == nil {
		w.buf = make([]byte, w.size*w.segment())
	}
	start := w.count * w.segment()
	data := w.buf[start+want*headerSize : start+want*w.segment()]
	n, err := io.ReadFull(w.src, data)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		w.final = true
	case err != nil:
		return err
	}
	for n >= w.block {
		data = w.add(data, w.block)
		n -= w.block
	}
	if w.final {
		w.add(data, n)
	}
	return nil
}

// add appends a packet with the first n bytes of data, and returns the rest.
func (w *window) add(data []byte, n int) []byte {
	p := w.buf[w.count*w.segment():]
	copy(p[headerSize:headerSize+n], data[:n])
	binary.BigEndian.PutUint16(p, opDATA)
	binary.BigEndian.PutUint16(p[2:], uint16(w.base+uint64(w.count)))
	w.count++
	w.last = n
	return data[n:]
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

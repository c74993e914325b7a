package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gomaas/maas/rpc"
)

// Kinds of messages. Numbers are never used again for something else.
const (
	kindUpdate byte = 1  // JSON of an update, without its objects
	kindObject byte = 2  // JSON of an object, without its value
	kindValue  byte = 3  // the value of the object before it, as it is
	kindEnd    byte = 4  // the update is complete
	kindCall   byte = 16 // JSON of an announcement
	kindArgs   byte = 17 // the arguments of the announcement before it, as they are
	kindCancel byte = 18 // JSON of the announcement whose caller has gone
)

const (
	headerSize = 4
	flagMore   = 1
	// framePayload is the payload of a frame that is written. Any length that a frame can have is
	// read.
	framePayload = 32 << 10
	// maxMessage bounds a message that is not a value, in bytes.
	maxMessage = 1 << 20
	// maxCall bounds the arguments and the answer of a call, in bytes.
	maxCall = 16 << 20
)

// errMalformed ends a stream that does not follow the protocol.
var errMalformed = errors.New("malformed message")

// encoder writes messages.
type encoder struct{ w *bufio.Writer }

func newEncoder(w io.Writer) encoder { return encoder{bufio.NewWriterSize(w, 64<<10)} }

func (e encoder) message(kind byte, body []byte) error {
	for {
		part, flags := body, byte(0)
		if len(part) > framePayload {
			part, flags = part[:framePayload], flagMore
		}
		head := [headerSize]byte{kind, flags}
		binary.BigEndian.PutUint16(head[2:], uint16(len(part)))
		e.w.Write(head[:]) // a bufio.Writer keeps its first error
		if _, err := e.w.Write(part); err != nil || flags == 0 {
			return err
		}
		body = body[len(part):]
	}
}

func (e encoder) json(kind byte, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.message(kind, body)
}

// decoder reads messages.
type decoder struct{ r *bufio.Reader }

func newDecoder(r io.Reader) decoder { return decoder{bufio.NewReaderSize(r, 64<<10)} }

// next reads a message. The error is io.EOF only between messages.
func (d decoder) next() (kind byte, body []byte, err error) {
	for first := true; ; first = false {
		var head [headerSize]byte
		if _, err := io.ReadFull(d.r, head[:]); err != nil {
			return 0, nil, midway(err, first)
		}
		if first {
			kind = head[0]
		}
		size, more := int(binary.BigEndian.Uint16(head[2:])), head[1]&flagMore != 0
		// An empty frame that continues would let a peer send frames for ever without reaching a
		// limit.
		if head[0] != kind || more && size == 0 {
			return 0, nil, fmt.Errorf("%w: a frame does not continue its message", errMalformed)
		}
		if len(body)+size > sizeLimit(kind) {
			return 0, nil, fmt.Errorf("%w: kind %d has more than %d bytes", errMalformed, kind, sizeLimit(kind))
		}
		start := len(body)
		// Memory grows by what arrives, at most a frame ahead: no length is believed in advance.
		body = append(body, make([]byte, size)...)
		if _, err := io.ReadFull(d.r, body[start:]); err != nil {
			return 0, nil, midway(err, false)
		}
		if !more {
			return kind, body, nil
		}
	}
}

func midway(err error, first bool) error {
	if errors.Is(err, io.EOF) && !first {
		return io.ErrUnexpectedEOF
	}
	return err
}

func sizeLimit(kind byte) int {
	switch kind {
	case kindValue:
		return math.MaxInt // memory is taken as bytes arrive, from a region that holds the same
	case kindArgs:
		return maxCall
	}
	return maxMessage
}

func writeUpdate(w io.Writer, u rpc.Update) error {
	e := newEncoder(w)
	// Values are binary and travel as they are: as JSON they would be base64, a third larger.
	objects := u.Objects
	u.Objects = nil
	if err := e.json(kindUpdate, u); err != nil {
		return err
	}
	for _, o := range objects {
		value := o.Value
		o.Value = nil
		if err := e.json(kindObject, o); err != nil {
			return err
		}
		if o.Deleted {
			continue
		}
		if err := e.message(kindValue, value); err != nil {
			return err
		}
	}
	if err := e.message(kindEnd, nil); err != nil {
		return err
	}
	return e.w.Flush()
}

// readUpdate reads one update to its end. One that is cut off is an error.
func readUpdate(r io.Reader) (u rpc.Update, err error) {
	d := newDecoder(r)
	for begun := false; ; {
		kind, body, err := d.next()
		if err != nil {
			return rpc.Update{}, midway(err, false)
		}
		switch kind {
		case kindUpdate:
			u, begun = rpc.Update{}, true
			err = json.Unmarshal(body, &u)
			u.Objects = nil
		case kindObject:
			var o rpc.Object
			err = json.Unmarshal(body, &o)
			u.Objects = append(u.Objects, o)
		case kindValue:
			if len(u.Objects) == 0 {
				return rpc.Update{}, fmt.Errorf("%w: a value without an object", errMalformed)
			}
			u.Objects[len(u.Objects)-1].Value = body
		case kindEnd:
			if !begun {
				return rpc.Update{}, fmt.Errorf("%w: an end without an update", errMalformed)
			}
			return u, nil
		}
		if err != nil {
			return rpc.Update{}, fmt.Errorf("%w: kind %d: %v", errMalformed, kind, err)
		}
	}
}

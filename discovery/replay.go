package discovery

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Replay reads a capture, in the format of pcap or pcapng, and reports what [Watch] would have
// reported, in the capture's own time. Of cfg it uses Sources, Sink, Table, Key and Counters, and
// the first of Interfaces as the name of the interface; without one that is "capture". Frames of
// links that are not Ethernet are passed over. A capture that ends within a packet is an error that
// wraps io.ErrUnexpectedEOF, after the packets before it were reported.
func Replay(r io.Reader, cfg Config) error {
	cfg.Open = nil
	if err := cfg.check(); err != nil {
		return err
	}
	name := "capture"
	if len(cfg.Interfaces) > 0 {
		name = cfg.Interfaces[0]
	}
	d := Decoder{Sources: cmp.Or(cfg.Sources, Passive), Key: cfg.Key, Counters: cfg.Counters}
	var clock time.Time
	var seen []Observation
	err := readCapture(r, func(frame []byte, at time.Time) {
		// The table is tidied as often as Watch does, but no more than a thousand times between two
		// frames: a capture may have gaps of days.
		if step := max(tidyTime, at.Sub(clock)/1000); !clock.IsZero() {
			for clock = clock.Add(step); clock.Before(at); clock = clock.Add(step) {
				report(cfg.Sink, cfg.Table.Tick(clock))
			}
		}
		clock = at
		seen = d.Decode(frame, 0, at, seen[:0])
		for _, s := range seen {
			if e, ok := cfg.Table.See(name, s, at); ok {
				cfg.Sink(e)
			}
		}
	})
	// Addresses that devices asked for, and devices in line, are settled within two seconds.
	for end := clock.Add(2 * time.Second); !clock.IsZero() && clock.Before(end); {
		clock = clock.Add(tidyTime)
		report(cfg.Sink, cfg.Table.Tick(clock))
	}
	if err != nil {
		return fmt.Errorf("discovery: replay: %w", err)
	}
	return nil
}

func report(sink func(Event), events []Event) {
	for _, e := range events {
		sink(e)
	}
}

// maxCaptured bounds a packet of a capture: a damaged length must not cost memory.
const maxCaptured = 1 << 18

// ethernet is the link type of Ethernet in captures (LINKTYPE_ETHERNET).
const ethernet = 1

var errCapture = errors.New("not a capture in the format of pcap or pcapng")

// readCapture calls fn for each Ethernet frame of a capture. The frame is valid until fn returns.
func readCapture(r io.Reader, fn func(frame []byte, at time.Time)) error {
	b := bufio.NewReader(r)
	magic, err := b.Peek(4)
	if err != nil {
		return errors.Join(errCapture, err)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(magic) {
		case 0xa1b2c3d4:
			return readPcap(b, order, time.Microsecond, fn)
		case 0xa1b23c4d:
			return readPcap(b, order, time.Nanosecond, fn)
		case 0x0a0d0d0a: // reads the same both ways; the order is in the block
			return readPcapng(b, fn)
		}
	}
	return errCapture
}

func readPcap(r io.Reader, order binary.ByteOrder, unit time.Duration, fn func([]byte, time.Time)) error {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if link := order.Uint32(head[20:]) & 0xffff; link != ethernet {
		return fmt.Errorf("the capture is of link type %d, not of Ethernet", link)
	}
	var packet [16]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(r, packet[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		n := order.Uint32(packet[8:])
		if n > maxCaptured {
			return fmt.Errorf("a packet of %d bytes", n)
		}
		if buf = append(buf[:0], make([]byte, n)...); n > 0 {
			if _, err := io.ReadFull(r, buf); err != nil {
				return unexpected(err)
			}
		}
		fn(buf, time.Unix(int64(order.Uint32(packet[:])), int64(order.Uint32(packet[4:]))*int64(unit)))
	}
}

// unexpected is an end within a packet.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// section holds what the blocks of a pcapng section share.
type section struct {
	order binary.ByteOrder
	links []uint16        // by interface
	units []time.Duration // of the interface's times
}

func readPcapng(r io.Reader, fn func([]byte, time.Time)) error {
	s := section{order: binary.LittleEndian}
	var head [12]byte
	var buf []byte
	for {
		// Each block has 12 bytes or more: its type, its length, and the length again at its end.
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		kind := s.order.Uint32(head[:])
		if kind == 0x0a0d0d0a {
			s = section{order: binary.LittleEndian}
			if s.order.Uint32(head[8:]) != 0x1a2b3c4d {
				s.order = binary.BigEndian
			}
		}
		n := s.order.Uint32(head[4:])
		if n < 12 || n > maxCaptured+64 || n%4 != 0 {
			return fmt.Errorf("a block of %d bytes", n)
		}
		buf = append(append(buf[:0], head[8:]...), make([]byte, n-12)...)
		if _, err := io.ReadFull(r, buf[4:]); err != nil {
			return unexpected(err)
		}
		if err := s.block(kind, buf[:n-12], fn); err != nil {
			return err
		}
	}
}

// block reads the body of a block.
func (s *section) block(kind uint32, body []byte, fn func([]byte, time.Time)) error {
	switch {
	case kind == 1 && len(body) >= 8: // interface description
		s.links = append(s.links, s.order.Uint16(body))
		s.units = append(s.units, s.unit(body[8:]))
	case kind == 6 && len(body) >= 20: // enhanced packet
		i, n := s.order.Uint32(body), s.order.Uint32(body[12:])
		if int64(i) >= int64(len(s.links)) || int64(n) > int64(len(body)-20) {
			return errors.New("a packet of an interface that is not described, or longer than its block")
		}
		if s.links[i] == ethernet {
			ticks := int64(s.order.Uint32(body[4:]))<<32 | int64(s.order.Uint32(body[8:]))
			perSecond := int64(time.Second / s.units[i])
			fn(body[20:20+n], time.Unix(ticks/perSecond, ticks%perSecond*int64(s.units[i])))
		}
	}
	return nil
}

// unit returns the unit of an interface's times from its options: microseconds unless they say
// otherwise.
func (s *section) unit(options []byte) time.Duration {
	for len(options) >= 4 {
		code, n := s.order.Uint16(options), int(s.order.Uint16(options[2:]))
		if options = options[4:]; n > len(options) {
			break
		}
		if code == 9 && n == 1 && options[0] <= 9 { // if_tsresol, a power of ten
			unit := time.Second
			for range options[0] {
				unit /= 10
			}
			return unit
		}
		options = options[min(len(options), (n+3)&^3):]
	}
	return time.Microsecond
}

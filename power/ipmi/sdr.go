package ipmi

import (
	"math"
	"strings"
)

// sensor holds the parts of a full sensor record that turn a reading into a value (IPMI 2.0 section
// 43.1).
type sensor struct {
	number    byte
	name      string
	unit      string
	format    byte // of the raw reading: unsigned, one's complement, two's complement
	linear    byte // what is applied to the value
	m, b      int
	rExp, exp int
}

// Octets of a full sensor record, from 0.
const (
	fullSensor  = 0x01
	atNumber    = 7
	atReading   = 13
	atUnits     = 20
	atBase      = 21
	atLinear    = 23
	atM         = 24
	atB         = 26
	atExponents = 29
	atNameSize  = 47
	atName      = 48

	thresholds   = 0x01 // the event type of sensors with an analogue reading
	noReading    = 3    // a format
	nonLinear    = 0x70 // from here on, the factors depend on the reading
	percentUnits = 1
)

// units are the base units that servers have (table 43-15).
var units = map[byte]string{
	1: "degrees C", 2: "degrees F", 3: "degrees K", 4: "V", 5: "A", 6: "W", 7: "J", 18: "RPM", 19: "Hz", 20: "us", 21: "ms", 22: "s",
}

// parseSensor reads a record. Records of other types, and of sensors without an analogue reading,
// are not ok.
func parseSensor(r []byte) (s sensor, ok bool) {
	if len(r) < atName || r[3] != fullSensor || r[atReading] != thresholds {
		return s, false
	}
	s = sensor{
		number: r[atNumber], format: r[atUnits] >> 6, linear: r[atLinear] & 0x7f, unit: units[r[atBase]],
		m: signed(int(r[atM])|int(r[atM+1]&0xc0)<<2, 10), b: signed(int(r[atB])|int(r[atB+1]&0xc0)<<2, 10),
		rExp: signed(int(r[atExponents]>>4), 4), exp: signed(int(r[atExponents]&0xf), 4),
	}
	if r[atUnits]&percentUnits != 0 {
		s.unit = "%"
	}
	size := int(r[atNameSize] & 0x1f)
	if s.format == noReading || s.linear >= nonLinear || atName+size > len(r) {
		return s, false
	}
	s.name = text(r[atNameSize]>>6, r[atName:atName+size])
	return s, true
}

// signed reads the low bits as a two's complement.
func signed(x, bits int) int {
	if x>>(bits-1)&1 == 1 {
		return x - 1<<bits
	}
	return x
}

// text decodes a name (section 43.15). Unicode has no defined encoding there, and only printable
// ASCII is kept of anything.
func text(kind byte, b []byte) string {
	var out strings.Builder
	switch kind {
	case 1: // BCD plus
		for _, c := range b {
			out.WriteByte("0123456789 -.:,_"[c>>4])
			out.WriteByte("0123456789 -.:,_"[c&0xf])
		}
	case 2: // 6-bit ASCII, packed from the low bits on
		var bits, n uint
		for _, c := range b {
			bits |= uint(c) << n
			for n += 8; n >= 6; n -= 6 {
				out.WriteByte(byte(bits&0x3f) + ' ')
				bits >>= 6
			}
		}
	default:
		for _, c := range b {
			if c >= ' ' && c < 0x7f {
				out.WriteByte(c)
			}
		}
	}
	return strings.TrimSpace(out.String())
}

// value turns the raw reading into the unit's (section 36.3).
func (s *sensor) value(raw byte) float64 {
	x := float64(raw)
	switch {
	case s.format == 1 && raw >= 0x80:
		x = -float64(^raw)
	case s.format == 2:
		x = float64(int8(raw))
	}
	y := (float64(s.m)*x + float64(s.b)*math.Pow10(s.exp)) * math.Pow10(s.rExp)
	if s.linear < byte(len(curves)) && curves[s.linear] != nil {
		y = curves[s.linear](y)
	}
	return y
}

// curves are the functions that linearize a sensor's value, by code (table 43-1, octet 24).
var curves = []func(float64) float64{
	1: math.Log, 2: math.Log10, 3: math.Log2, 4: math.Exp, 5: func(y float64) float64 { return math.Pow(10, y) }, 6: math.Exp2,
	7: func(y float64) float64 { return 1 / y }, 8: func(y float64) float64 { return y * y }, 9: func(y float64) float64 { return y * y * y },
	10: math.Sqrt, 11: math.Cbrt,
}

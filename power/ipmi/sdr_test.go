package ipmi

import (
	"fmt"
	"math"
	"testing"
)

// record makes a full sensor record.
func record(number byte, name string, change func(r []byte)) []byte {
	r := make([]byte, atName+len(name))
	r[2], r[3], r[4], r[atNumber], r[atReading] = 0x51, fullSensor, byte(len(r)-recordHeader), number, thresholds
	r[atM], r[atNameSize] = 1, 0xc0|byte(len(name))
	copy(r[atName:], name)
	change(r)
	return r
}

func TestSensorRecords(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(r []byte)
		raw    byte
		want   float64
		unit   string
	}{
		"temperature":      {func(r []byte) { r[atBase] = 1 }, 42, 42, "degrees C"},
		"two's complement": {func(r []byte) { r[atUnits], r[atBase] = 0x80, 1 }, 0xf6, -10, "degrees C"},
		"one's complement": {func(r []byte) { r[atUnits] = 0x40 }, 0xf5, -10, ""},
		"volts":            {func(r []byte) { r[atBase], r[atM], r[atExponents] = 4, 6, 0xe0 }, 200, 12, "V"},
		"offset":           {func(r []byte) { r[atB], r[atB+1], r[atExponents] = 0xfb, 0xc0, 0x01 }, 100, 50, ""}, // -5 times 10
		"large factor":     {func(r []byte) { r[atM], r[atM+1], r[atBase] = 0x2c, 0x40, 18 }, 10, 3000, "RPM"},    // 300
		"negative factor":  {func(r []byte) { r[atM], r[atM+1] = 0xff, 0xc0 }, 10, -10, ""},
		"square root":      {func(r []byte) { r[atLinear] = 10 }, 144, 12, ""},
		"inverse":          {func(r []byte) { r[atLinear] = 7 }, 4, 0.25, ""},
		"percent":          {func(r []byte) { r[atUnits], r[atBase] = 1, 6 }, 80, 80, "%"},
	} {
		s, ok := parseSensor(record(7, "Sensor 7", tt.change))
		if got := s.value(tt.raw); !ok || math.Abs(got-tt.want) > 1e-9 || s.unit != tt.unit || s.name != "Sensor 7" || s.number != 7 {
			t.Errorf("%s: %+v %v reads %v, want %v %s", name, s, ok, got, tt.want, tt.unit)
		}
	}
	for name, change := range map[string]func(r []byte){
		"compact":     func(r []byte) { r[3] = 2 },
		"discrete":    func(r []byte) { r[atReading] = 0x6f },
		"no reading":  func(r []byte) { r[atUnits] = 0xc0 },
		"not linear":  func(r []byte) { r[atLinear] = 0x70 },
		"name beyond": func(r []byte) { r[atNameSize] = 0xdf },
	} {
		if s, ok := parseSensor(record(7, "Sensor", change)); ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestSensorNames(t *testing.T) {
	for _, tt := range []struct {
		kind byte
		raw  []byte
		want string
	}{
		{3, []byte("CPU\x01 Temp "), "CPU Temp"},
		{1, []byte{0x12, 0xb3}, "12-3"},
		{2, []byte{0x29, 0xdc, 0xa6}, "IPMI"}, // the example of the standard
	} {
		if got := text(tt.kind, tt.raw); got != tt.want {
			t.Errorf("%d %x: %q, want %q", tt.kind, tt.raw, got, tt.want)
		}
	}
}

func FuzzSensorRecord(f *testing.F) {
	f.Add(record(1, "CPU Temp", func([]byte) {}), byte(42))
	f.Add(record(2, "\x29\xdc\xa6", func(r []byte) { r[atNameSize] = 0x83 }), byte(0))
	f.Fuzz(func(t *testing.T, r []byte, raw byte) {
		if s, ok := parseSensor(r); ok {
			_ = fmt.Sprint(s.value(raw))
			for _, c := range s.name {
				if c < ' ' || c > '~' {
					t.Errorf("name %q", s.name)
				}
			}
		}
	})
}

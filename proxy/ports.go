package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Ports is a range of ports, both ends included. Its text is that of one port, such as "443", or
// "8000-8999".
type Ports struct{ First, Last uint16 }

// Port returns the range that one port is.
func Port(n uint16) Ports { return Ports{n, n} }

// ParsePorts reads the text of a range.
func ParsePorts(text string) (Ports, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	p := Ports{uint16(a), uint16(b)}
	if errA != nil || errB != nil {
		return Ports{}, fmt.Errorf("%q is not a port; ports go from 1 to 65535, and a range of them is such as 8000-8999", text)
	}
	return p, p.check()
}

func (p Ports) check() error {
	switch {
	case p.First == 0:
		return fmt.Errorf("%v is not a port; ports go from 1 to 65535", p)
	case p.Last < p.First:
		return fmt.Errorf("%v begins above its end", p)
	}
	return nil
}

// String returns the text of the range.
func (p Ports) String() string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// MarshalText implements encoding.TextMarshaler.
func (p Ports) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Ports) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePorts(string(text))
	return err
}

// holdsPort reports whether a port is in one of the ranges.
func holdsPort(all []Ports, port uint16) bool {
	return slices.ContainsFunc(all, func(p Ports) bool { return p.First <= port && port <= p.Last })
}

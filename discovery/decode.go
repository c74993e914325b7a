package discovery

import (
	"errors"
	"sync/atomic"
	"time"
)

// Counters count what a watch did. They only grow, and may be read at any time.
type Counters struct {
	Frames    atomic.Uint64 // handed over by the kernel
	Dropped   atomic.Uint64 // lost because frames came faster than they were read
	Limited   atomic.Uint64 // not looked into, because there were too many of a costly kind at once
	Malformed atomic.Uint64 // that break their protocol's format
	Silent    atomic.Uint64 // that say nothing about who owns an address
	Foreign   atomic.Uint64 // multicast DNS records about names outside of .local
	Strangers atomic.Uint64 // beacons that are not of this site
	Ignored   atomic.Uint64 // observations that a rule ignores
}

// A Decoder reads the frames of one interface with the decoder of their protocol. It is for one
// goroutine.
type Decoder struct {
	// Sources selects the protocols that are read. Zero means [Passive].
	Sources Source
	// Key authenticates beacons. Nil accepts none.
	Key BeaconKey
	// Counters are added to. If nil, nothing is counted.
	Counters *Counters

	costly   float64 // frames of names and services that may be read at once
	costlyAt time.Time
}

// costlyRate is the number of frames a second, and at once, that are read of the protocols that
// take memory for each frame. It bounds the work that a flood can cause.
const costlyRate = 2000

// Decode appends what a frame says to out. vid is the tag that the interface took off. What a frame
// of no interest or a broken one costs is counted, and nothing else happens. Observations do not
// refer to the frame.
func (d *Decoder) Decode(b []byte, vid uint16, now time.Time, out []Observation) []Observation {
	if d.Counters == nil {
		d.Counters = new(Counters)
	}
	d.Counters.Frames.Add(1)
	f, err := ParseFrame(b, vid)
	if err == nil {
		out, err = d.decode(f, now, out)
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrNoObservation):
		d.Counters.Silent.Add(1)
	case errors.Is(err, ErrBeacon):
		d.Counters.Strangers.Add(1)
	default:
		d.Counters.Malformed.Add(1)
	}
	return out
}

func (d *Decoder) decode(f Frame, now time.Time, out []Observation) ([]Observation, error) {
	var s Observation
	var err error
	switch kind := classify(f); {
	case kind == 0 || !d.wants(kind):
		return out, ErrNoObservation
	case kind == ARP:
		s, err = decodeARP(f)
	// Neighbors are read in place, so that a flood of them costs no memory.
	case kind == NDP && !isRouterAdvert(f):
		s, err = decodeNDP(f)
	case !d.afford(now):
		d.Counters.Limited.Add(1)
		return out, nil
	case kind == NDP:
		s, err = decodeNDP(f)
	case kind == DHCPv4:
		return decodeDHCPv4(f, out)
	case kind == DHCPv6:
		return decodeDHCPv6(f, out)
	case kind == MDNS:
		out, foreign, err := decodeMDNS(f, out)
		d.Counters.Foreign.Add(uint64(foreign))
		return out, err
	case kind == LLDP:
		s, err = decodeLLDP(f)
	default:
		s, err = d.Key.Decode(f, now)
	}
	if err != nil {
		return out, err
	}
	return append(out, s), nil
}

func (d *Decoder) wants(kind Source) bool {
	if d.Sources == 0 {
		return Passive.Has(kind)
	}
	return d.Sources.Has(kind)
}

// afford is a token bucket.
func (d *Decoder) afford(now time.Time) bool {
	// The bucket holds one second's worth, which a burst after a quiet time may use.
	d.costly = min(costlyRate, d.costly+now.Sub(d.costlyAt).Seconds()*costlyRate)
	d.costlyAt = now
	if d.costly < 1 {
		return false
	}
	d.costly--
	return true
}

// classify returns the protocol of a frame, zero if it is of no interest. It checks no more than
// types and ports.
func classify(f Frame) Source {
	switch f.Type {
	case etherARP:
		return ARP
	case etherLLDP:
		return LLDP
	case etherBeacon:
		return Beacons
	case etherIPv4, etherIPv6:
	default:
		return 0
	}
	d, ok := ipPacket(f)
	if !ok {
		return 0
	}
	if d.proto == protoICMPv6 && f.Type == etherIPv6 {
		return NDP
	}
	src, dst, _, ok := d.udp()
	switch {
	case !ok:
	case src == portMDNS || dst == portMDNS:
		return MDNS
	case f.Type == etherIPv4 && (dst == portDHCPServer || dst == portDHCPClient):
		return DHCPv4
	case f.Type == etherIPv6 && (dst == portDHCP6Server || dst == portDHCP6Client):
		return DHCPv6
	}
	return 0
}

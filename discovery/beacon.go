package discovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// A Beacon is a frame by which a rack shows on which link one of its interfaces is, authenticated
// with the key of the site. An interface that receives it shares a link with the sender's, whatever
// lies between them.
//
// On the wire it is an Ethernet frame to a group address with the local experimental EtherType
// 0x88b5:
//
//	"MAASb1"  octets: magic and version
//	kind      1 octet: 1 asks for beacons, 2 answers or repeats
//	time      8 octets: microseconds since 1970, big endian
//	rack      1 octet of length, then the rack's name
//	interface 1 octet of length, then the interface's name
//	mac       32 octets: HMAC-SHA256 over all of the above and the sender's MAC
//
// It does not need IP addresses, and reaches exactly as far as broadcasts do. Encryption would hide
// nothing that the frame's header does not show.
type Beacon struct {
	Rack      string `json:"rack"`
	Interface string `json:"interface"`
	// Solicit asks other racks to answer soon.
	Solicit bool      `json:"solicit,omitempty"`
	Time    time.Time `json:"time"`
}

// beaconGroup is a locally administered group address.
var beaconGroup = MAC{0x03, 0x4d, 0x41, 0x41, 0x53, 0x01}

const beaconMagic = "MAASb1"

// BeaconSkew is the largest difference between the clocks of two racks, and the time during which a
// recorded beacon can be played back.
const BeaconSkew = time.Minute

// ErrBeacon is returned for beacons that were not made with the key, or are too old.
var ErrBeacon = errors.New("discovery: beacon is not of this site, or the clocks of its racks differ by more than a minute")

// A BeaconKey is the secret that the racks of a site share. Racks without it are strangers. Nil
// authenticates nothing.
type BeaconKey []byte

// Encode makes the frame of a beacon. Names are cut at 255 octets.
func (k BeaconKey) Encode(from MAC, b Beacon) []byte {
	frame := append(append(make([]byte, 0, 128), beaconGroup[:]...), from[:]...)
	frame = binary.BigEndian.AppendUint16(frame, etherBeacon)
	frame = append(frame, beaconMagic...)
	kind := byte(2)
	if b.Solicit {
		kind = 1
	}
	frame = binary.BigEndian.AppendUint64(append(frame, kind), uint64(b.Time.UnixMicro()))
	frame = appendText(appendText(frame, b.Rack), b.Interface)
	return append(frame, k.sum(from, frame[etherHeader:])...)
}

// Decode reads a beacon and checks it at a time.
func (k BeaconKey) Decode(f Frame, now time.Time) (Observation, error) {
	p := f.Payload
	if f.Type != etherBeacon || !f.Src.Unicast() || len(p) < len(beaconMagic)+9 || string(p[:len(beaconMagic)]) != beaconMagic {
		return Observation{}, ErrMalformed
	}
	rest := p[len(beaconMagic):]
	b := &Beacon{Solicit: rest[0] == 1, Time: time.UnixMicro(int64(binary.BigEndian.Uint64(rest[1:])))}
	rack, rest, ok1 := cutText(rest[9:])
	name, rest, ok2 := cutText(rest)
	if !ok1 || !ok2 || len(rest) < sha256.Size {
		return Observation{}, ErrMalformed
	}
	// The time is inside of the authenticated part, so that a recorded beacon ends.
	if len(k) == 0 || !hmac.Equal(rest[:sha256.Size], k.sum(f.Src, p[:len(p)-len(rest)])) || now.Sub(b.Time).Abs() > BeaconSkew {
		return Observation{}, ErrBeacon
	}
	b.Rack, b.Interface = clean(rack), clean(name)
	return Observation{MAC: f.Src, VID: f.VID, Source: Beacons, Info: &Info{Beacon: b}}, nil
}

func (k BeaconKey) sum(from MAC, b []byte) []byte {
	h := hmac.New(sha256.New, k)
	h.Write(b)
	h.Write(from[:])
	return h.Sum(nil)
}

func appendText(b []byte, text string) []byte {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return append(append(b, byte(len(text))), text...)
}

func cutText(b []byte) (text, rest []byte, ok bool) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	return b[1 : 1+int(b[0])], b[1+int(b[0]):], true
}

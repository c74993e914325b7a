package journal

import (
	"encoding/binary"
	"net/netip"
)

// index holds the position of the latest record of each key. A site has a lease for each machine,
// so that addresses of IPv4, which nearly all keys are, have a map of their own with a third of the
// memory.
type index struct {
	four map[uint32]packed
	rest map[netip.Addr]place
}

// packed is a place in eight bytes: the offset, then the length in the lowest bits.
type packed uint64

// lenBits hold the length of a record, which is at most 64 KiB and its header. 47 bits are left for
// the offset, which is 128 TiB.
const lenBits = 17

func newIndex() *index {
	return &index{four: make(map[uint32]packed), rest: make(map[netip.Addr]place)}
}

// get returns the place of a key, the zero place if it has none.
func (x *index) get(key netip.Addr) place {
	if key.Is4() {
		p := x.four[number(key)]
		return place{off: int64(p >> lenBits), len: int32(p & (1<<lenBits - 1))}
	}
	return x.rest[key]
}

// set replaces the place of a key.
func (x *index) set(key netip.Addr, p place) {
	if key.Is4() {
		x.four[number(key)] = packed(p.off)<<lenBits | packed(p.len)
		return
	}
	x.rest[key] = p
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

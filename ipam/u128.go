package ipam

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"net/netip"
)

// u128 is an address as a number, so that IPv4 and IPv6 share one arithmetic. An IPv4 address is
// its 32 bits.
type u128 struct{ hi, lo uint64 }

func toU128(a netip.Addr) u128 {
	if a.Is4() {
		b := a.As4()
		return u128{lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return u128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (x u128) addr(is4 bool) netip.Addr {
	if is4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(x.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
	return netip.AddrFrom16(b)
}

func (x u128) less(y u128) bool { return x.hi < y.hi || x.hi == y.hi && x.lo < y.lo }

func (x u128) cmp(y u128) int {
	switch {
	case x == y:
		return 0
	case x.less(y):
		return -1
	}
	return 1
}

func (x u128) add(y u128) u128 {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	hi, _ := bits.Add64(x.hi, y.hi, carry)
	return u128{hi, lo}
}

func (x u128) sub(y u128) u128 {
	lo, borrow := bits.Sub64(x.lo, y.lo, 0)
	hi, _ := bits.Sub64(x.hi, y.hi, borrow)
	return u128{hi, lo}
}

func (x u128) next() u128 { return x.add(u128{0, 1}) }
func (x u128) prev() u128 { return x.sub(u128{0, 1}) }

// half shifts right by one.
func (x u128) half() u128 { return u128{x.hi >> 1, x.lo>>1 | x.hi<<63} }

// mod is x modulo y, which must not be zero.
func (x u128) mod(y u128) u128 {
	if y.hi == 0 {
		_, r := bits.Div64(x.hi%y.lo, x.lo, y.lo)
		return u128{0, r}
	}
	r := u128{}
	for i := 127; i >= 0; i-- {
		over := r.hi >> 63
		r = r.add(r)
		if i >= 64 {
			r.lo |= x.hi >> (i - 64) & 1
		} else {
			r.lo |= x.lo >> i & 1
		}
		if over == 1 || !r.less(y) {
			r = r.sub(y)
		}
	}
	return r
}

func (x u128) big() *big.Int {
	n := new(big.Int).SetUint64(x.hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(x.lo))
}

// clamp is x as an int, or the largest int.
func (x u128) clamp() int {
	if x.hi != 0 || x.lo > uint64(maxInt) {
		return maxInt
	}
	return int(x.lo)
}

const maxInt = int(^uint(0) >> 1)

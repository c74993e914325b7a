package explain

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
)

// Readable returns the options of a reply as text.
func Readable(options dhcpsrv.Options, ipv6 bool) (out []Option) {
	for _, o := range options {
		out = append(out, Option{uint16(o.Code), readable(uint16(o.Code), o.Data, ipv6)})
	}
	return out
}

// IPv4 options that hold addresses and numbers (RFC 2132).
var (
	addressOptions = []uint16{1, 3, 4, 5, 6, 28, 42, 44, 54, 150}
	numberOptions  = []uint16{2, 26, 51, 57, 58, 59}
)

func readable(code uint16, data []byte, ipv6 bool) string {
	has := func(list []uint16) bool {
		for _, c := range list {
			if c == code && !ipv6 {
				return true
			}
		}
		return false
	}
	switch {
	case has(addressOptions) && len(data)%4 == 0:
		return addresses(data, 4)
	case has(numberOptions) && len(data) <= 4:
		n := 0
		for _, b := range data {
			n = n<<8 | int(b)
		}
		return strconv.Itoa(n)
	case ipv6 && code == 23 && len(data)%16 == 0:
		return addresses(data, 16)
	}
	for _, b := range data {
		if b < ' ' || b > '~' {
			return hex.EncodeToString(data)
		}
	}
	return string(data)
}

func addresses(data []byte, size int) string {
	var out []string
	for ; len(data) >= size; data = data[size:] {
		a, _ := netip.AddrFromSlice(data[:size]) // cannot fail: the size is right
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}

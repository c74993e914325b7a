package rack

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// prefixes6 returns the IPv6 addresses of an interface that an operator configured. Addresses that
// the host formed from router advertisements expire, so no service may depend on them. A tentative
// address (RFC 4862 section 5.4) cannot be bound yet.
func prefixes6(name string) (out []netip.Prefix) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		unfit := a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED|unix.IFA_F_DEPRECATED) != 0
		if !ok || ip.IsLinkLocalUnicast() || unfit || a.Flags&unix.IFA_F_PERMANENT == 0 {
			continue
		}
		ones, _ := a.Mask.Size()
		out = append(out, netip.PrefixFrom(ip, ones))
	}
	return out
}

// Has6 reports whether the interface has an IPv6 address to serve from.
func (l Link) Has6() bool {
	for _, p := range l.Prefixes {
		if p.Addr().Is6() {
			return true
		}
	}
	return false
}

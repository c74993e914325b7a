package siteimport

import "net/netip"

func (d *dhcpd) addHostOf(s *statement, in *scope) *scope {
	return d.addHost(s.place(), s.name(1), in).at
}

func (d *dhcpd) hostPart(s *statement, h *hostDecl) {
	switch s.word(0) {
	case "hardware":
		mac := s.word(2)
		if s.word(1) != "ethernet" {
			mac = ""
		}
		d.setMAC(s.place(), h, mac)
	case "fixed-address", "fixed-address6":
		var addrs []netip.Addr
		for _, w := range s.words[1:] {
			if a, err := netip.ParseAddr(w.text); err == nil && a.Zone() == "" {
				addrs = append(addrs, a)
			} else if !w.is(",") {
				d.add(s, LeftOut, "%s is not an address; names are not looked up, so write its address", clip(w.text))
				return
			}
		}
		d.setAddrs(s.place(), h, addrs...)
	default:
		d.leave(s, "hosts are known by their MAC address alone")
	}
}

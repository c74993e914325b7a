package siteexport

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

func (b *dhcpBuilder) classes() {
	for i := range b.doc.Classes {
		d := &b.doc.Classes[i]
		c := inventory.Class{Name: d.Name, VendorClass: d.VendorClass, UserClass: d.UserClass, Arch: d.Arch, MACPrefix: d.MACPrefix, CircuitID: d.CircuitID, Ignore: d.Ignore, Options: d.Options}
		k, err := c.DHCP()
		if err != nil {
			b.left("a rack cannot read it: "+err.Error(), &d.Name)
			continue
		}
		b.taken("a class", &d.Name, &d.VendorClass, &d.UserClass, &d.Arch, &d.MACPrefix, &d.CircuitID, &d.Options, &d.Ignore)
		b.changed("the order of the classes; a client of several classes has the options of all", &d.Sequence)
		b.site.classes = append(b.site.classes, &class{k, d})
	}
	slices.SortStableFunc(b.site.classes, func(x, y *class) int { return cmp.Compare(x.doc.Sequence, y.doc.Sequence) })
}

// routes adds static routes as option 121 (RFC 3442): clients that read it ignore routers, so the
// gateway is a route as well.
func (b *dhcpBuilder) routes() {
	routes := map[*subnet][]byte{}
	for i := range b.doc.Routes {
		r := &b.doc.Routes[i]
		from, err1 := netip.ParsePrefix(r.Source)
		to, err2 := netip.ParsePrefix(r.Destination)
		via, err3 := netip.ParseAddr(r.Gateway)
		s := b.byPrefix[from]
		if err1 != nil || err2 != nil || err3 != nil || s == nil || !via.Is4() || !to.Addr().Is4() {
			b.left("DHCP has routes of IPv4 subnets alone", &r.Source, &r.Destination, &r.Gateway, &r.Metric)
			continue
		}
		routes[s] = append(routes[s], routeBytes(to, via)...)
		b.taken("option 121 of the subnet's clients", &r.Source, &r.Destination, &r.Gateway)
		b.left("DHCP has no metric of a route", &r.Metric)
	}
	for s, data := range routes {
		if gateway, err := netip.ParseAddr(s.doc.Gateway); err == nil {
			data = append(data, routeBytes(netip.MustParsePrefix("0.0.0.0/0"), gateway)...)
		}
		s.options = append(s.options, dhcpsrv.Option{Code: 121, Data: data})
	}
}

func routeBytes(to netip.Prefix, via netip.Addr) []byte {
	raw := append([]byte{byte(to.Bits())}, to.Addr().AsSlice()[:(to.Bits()+7)/8]...)
	return append(raw, via.AsSlice()...)
}

// snippets gives options to the places that have them; the later one of two counts.
func (b *dhcpBuilder) snippets() {
	for i := range b.doc.Snippets {
		s := &b.doc.Snippets[i]
		all := []any{&s.Name, &s.Description, &s.Value, &s.Disabled, &s.Machine, &s.Device, &s.Subnet, &s.Range}
		o, err := inventory.ParseDHCPOptions(s.Value)
		switch {
		case s.Disabled:
			b.left("it is disabled", all...)
			b.changed("nothing is written for it", &s.Disabled)
			continue
		case err != nil:
			b.left("a rack cannot read it: "+err.Error(), all...)
			continue
		}
		b.left("options have no names of their own", &s.Name, &s.Description)
		b.taken("options", &s.Value, &s.Machine, &s.Device, &s.Subnet, &s.Range)
		node := cmp.Or(s.Machine, s.Device)
		switch {
		case node != "":
			h := b.nodes[strings.ToLower(strings.TrimSuffix(node, "."))]
			if h == nil {
				b.left("its machine or device is no host here", all...)
				continue
			}
			h.options4, h.options6 = overlay(h.options4, o.V4), overlay(h.options6, o.V6)
		case s.Subnet != "":
			prefix, _ := netip.ParsePrefix(s.Subnet)
			to := b.byPrefix[prefix]
			if to == nil {
				b.left("the document does not have its subnet", all...)
				continue
			}
			to.options = overlay(to.options, ofFamily(prefix.Addr(), o.V4, o.V6))
			to.lease = cmp.Or(o.LeaseTime, to.lease)
		case s.Range != "":
			b.rangeOptions(s, o.V4, o.V6, all)
		default:
			b.site.options4, b.site.options6 = overlay(b.site.options4, o.V4), overlay(b.site.options6, o.V6)
			b.site.lease = cmp.Or(o.LeaseTime, b.site.lease)
		}
	}
}

func (b *dhcpBuilder) rangeOptions(s *sitedoc.Snippet, v4, v6 dhcpsrv.Options, all []any) {
	span, err := netipx.ParseIPRange(s.Range)
	if err == nil {
		if sub := b.subnetOf(span.From()); sub != nil {
			found := false
			for i := range sub.pools {
				if x := &sub.pools[i]; span.Contains(x.From()) {
					x.options, found = overlay(x.options, ofFamily(span.From(), v4, v6)), true
				}
			}
			if found {
				return
			}
		}
	}
	b.left("its range has no pool", all...)
}

func ofFamily(a netip.Addr, v4, v6 dhcpsrv.Options) dhcpsrv.Options {
	if a.Is4() {
		return v4
	}
	return v6
}

// overlay adds options; one with the code of another replaces that one.
func overlay(base, over dhcpsrv.Options) dhcpsrv.Options {
	base = slices.Clone(base)
	for _, o := range over {
		if at := slices.IndexFunc(base, func(have dhcpsrv.Option) bool { return have.Code == o.Code }); at >= 0 {
			base[at] = o
		} else {
			base = append(base, o)
		}
	}
	return base
}

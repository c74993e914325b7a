package siteexport

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
)

// keaServer is Dhcp4 or Dhcp6.
type keaServer struct {
	Authoritative *bool          `json:"authoritative,omitempty"` // of IPv4
	Interfaces    map[string]any `json:"interfaces-config"`
	Leases        map[string]any `json:"lease-database"`
	Valid         int            `json:"valid-lifetime"`
	Global        bool           `json:"reservations-global,omitempty"`
	NextServer    string         `json:"next-server,omitempty"`
	Options       []keaOption    `json:"option-data,omitempty"`
	Classes       []keaClass     `json:"client-classes,omitempty"`
	Networks      []keaNetwork   `json:"shared-networks,omitempty"`
	Hosts         []keaHost      `json:"reservations,omitempty"`
}

type keaClass struct {
	Name    string      `json:"name"`
	Test    string      `json:"test"`
	File    string      `json:"boot-file-name,omitempty"`
	Options []keaOption `json:"option-data,omitempty"`
	Context *keaContext `json:"user-context,omitempty"`
}

type keaContext struct {
	Comment string `json:"comment"`
}

type keaNetwork struct {
	Name     string      `json:"name"`
	Subnets4 []keaSubnet `json:"subnet4,omitempty"`
	Subnets6 []keaSubnet `json:"subnet6,omitempty"`
}

type keaSubnet struct {
	ID      int            `json:"id"`
	Subnet  string         `json:"subnet"`
	Context *keaContext    `json:"user-context,omitempty"`
	Valid   int            `json:"valid-lifetime,omitempty"`
	Relay   map[string]any `json:"relay,omitempty"`
	Options []keaOption    `json:"option-data,omitempty"`
	Pools   []keaPool      `json:"pools,omitempty"`
	PD      []keaDelegated `json:"pd-pools,omitempty"`
	Hosts   []keaHost      `json:"reservations,omitempty"`
}

type keaPool struct {
	Pool    string      `json:"pool"`
	Class   string      `json:"client-class,omitempty"`
	Options []keaOption `json:"option-data,omitempty"`
	Context *keaContext `json:"user-context,omitempty"`
}

type keaDelegated struct {
	Prefix string `json:"prefix"`
	Bits   int    `json:"prefix-len"`
	Length int    `json:"delegated-len"`
}

type keaHost struct {
	MAC      string      `json:"hw-address"`
	Hostname string      `json:"hostname,omitempty"`
	Addr     string      `json:"ip-address,omitempty"`
	Addrs    []string    `json:"ip-addresses,omitempty"`
	Options  []keaOption `json:"option-data,omitempty"`
	Context  *keaContext `json:"user-context,omitempty"`
}

// keaFile is a configuration of one family.
type keaFile struct {
	*page
	is4 bool
	out keaServer
	ids int
}

func writeKea(p *page) {
	s := p.dhcp()
	p.boots()
	for _, is4 := range []bool{true, false} {
		networks := s.ofVersion(is4)
		if len(networks) == 0 {
			continue
		}
		f := keaFile{page: p, is4: is4}
		f.site(s, networks)
		name, server := "kea-dhcp4.conf", "Dhcp4"
		if !is4 {
			name, server = "kea-dhcp6.conf", "Dhcp6"
		}
		var out strings.Builder
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false) // conditions have quotes
		enc.SetIndent("", "  ")
		if err := enc.Encode(map[string]keaServer{server: f.out}); err == nil { // texts and numbers have no error
			p.add(name, "// "+written+"\n"+out.String())
		}
	}
}

func context(comment string) *keaContext {
	if comment = oneLine(comment); comment == "" {
		return nil
	}
	return &keaContext{comment}
}

func (f *keaFile) site(s *dhcpSite, networks []*network) {
	f.out = keaServer{
		Interfaces: map[string]any{"interfaces": []string{"*"}}, Leases: map[string]any{"type": "memfile"}, Valid: leaseSeconds(f.is4, s.lease),
		Options: keaOptions(s.options6, false),
	}
	if f.is4 {
		yes := true
		f.out.Authoritative, f.out.Options = &yes, keaOptions(s.options4, true)
	}
	f.classes(s)
	f.boot()
	for _, n := range networks {
		f.network(n)
	}
	for _, h := range s.hosts {
		f.anywhere(h)
	}
}

// of returns the options of the family.
func (f *keaFile) of(v4, v6 dhcpsrv.Options) []keaOption {
	if f.is4 {
		return keaOptions(v4, true)
	}
	return keaOptions(v6, false)
}

func (f *keaFile) archIs(archs []uint16) string {
	var any []string
	for _, a := range archs {
		any = append(any, fmt.Sprintf("option[%d].hex == 0x%04x", map[bool]int{true: 93, false: 61}[f.is4], a))
	}
	if len(any) < 2 {
		return strings.Join(any, "")
	}
	return "(" + strings.Join(any, " or ") + ")"
}

// keaText writes bytes as text in quotes, or in hexadecimal if they are no plain text.
func keaText(data []byte) string {
	if text := dhcpdText(data); strings.HasPrefix(text, `"`) && !strings.Contains(text, "'") {
		return "'" + string(data) + "'"
	}
	return fmt.Sprintf("0x%x", data)
}

func (f *keaFile) classes(s *dhcpSite) {
	var drop []string
	for _, c := range s.classes {
		if !f.is4 && (c.VendorClass != "" || c.UserClass != "" || len(c.MACPrefix) > 0 || len(c.CircuitID) > 0) {
			f.changed("the class is of IPv4 alone: Kea compares other options of IPv6 in bytes", &c.doc.Name)
			continue
		}
		var all []string
		if v := c.VendorClass; v != "" {
			all = append(all, fmt.Sprintf("substring(option[60].hex,0,%d) == %s", len(v), keaText([]byte(v))))
		}
		if v := c.UserClass; v != "" {
			all = append(all, "option[77].hex == "+keaText([]byte(v)))
		}
		if mac := c.MACPrefix; len(mac) > 0 {
			all = append(all, fmt.Sprintf("substring(pkt4.mac,0,%d) == 0x%x", len(mac), []byte(mac)))
		}
		if id := c.CircuitID; len(id) > 0 {
			all = append(all, "relay4[1].hex == "+keaText(id))
		}
		if len(c.Arch) > 0 {
			all = append(all, f.archIs(c.Arch))
		}
		test := strings.Join(all, " and ")
		if c.Ignore {
			drop = append(drop, "("+test+")")
			f.changed("part of the class DROP", &c.doc.Name)
			f.left("clients of the class DROP get no answer", &c.doc.Options, &c.doc.Description)
			continue
		}
		f.changed("a comment of the class", &c.doc.Description)
		f.out.Classes = append(f.out.Classes, keaClass{Name: c.doc.Name, Test: test, Options: f.of(c.Options, c.Options6), Context: context(c.doc.Description)})
	}
	if len(drop) > 0 {
		f.out.Classes = append(f.out.Classes, keaClass{Name: "DROP", Test: strings.Join(drop, " or ")})
	}
}

// boot writes a class for the firmware of each boot file. iPXE is of some architecture as well, so
// the others are without it.
func (f *keaFile) boot() {
	files := f.bootFiles(f.is4)
	if len(files) == 0 {
		return
	}
	vendor, user := "substring(option[60].hex,0,10) == 'HTTPClient'", "option[77].hex == 'iPXE'"
	if f.is4 {
		f.out.NextServer = f.o.BootServer
	} else { // after the enterprise number and the length; after the length of the class
		vendor, user = "substring(option[16].hex,6,10) == 'HTTPClient'", "substring(option[15].hex,2,4) == 'iPXE'"
	}
	add := func(name, test, file string, options ...keaOption) {
		c := keaClass{Name: "boot-" + name, Test: test, File: file, Options: options}
		if !f.is4 {
			c.File, c.Options = "", append(options, keaOption{Name: "bootfile-url", Data: file})
		}
		f.out.Classes = append(f.out.Classes, c)
	}
	add("ipxe", user, f.scriptURL())
	without := "not member('boot-ipxe')"
	last := ""
	for _, b := range files {
		name := ""
		for _, a := range b.archs {
			name += fmt.Sprintf("-%d", a)
		}
		switch {
		case len(b.archs) == 0:
			last = b.file
		case b.http && f.is4: // which firmware demands in the answer (UEFI 2.10 section 24.7)
			add("http"+name, vendor+" and "+f.archIs(b.archs), b.file, keaOption{Name: "vendor-class-identifier", Data: "HTTPClient", Always: true})
		case b.http:
			add("http"+name, vendor+" and "+f.archIs(b.archs), b.file)
		default:
			add("tftp"+name, "not ("+vendor+") and "+f.archIs(b.archs)+" and "+without, b.file)
		}
	}
	if last != "" {
		var known []string
		for _, c := range f.out.Classes {
			if strings.HasPrefix(c.Name, "boot-") {
				known = append(known, "not member('"+c.Name+"')")
			}
		}
		add("other", strings.Join(known, " and "), last)
	}
}

func (f *keaFile) network(n *network) {
	net := keaNetwork{Name: n.name}
	for _, s := range n.subnets {
		d := s.doc
		f.ids++
		f.left("the prefix is its name", &d.Name)
		words := d.Description
		if d.Name != d.CIDR {
			words = strings.Trim(d.Name+": "+d.Description, ": ")
			f.changed("a comment", &d.Name)
		}
		f.changed("a comment", &d.Description)
		sub := keaSubnet{ID: f.ids, Subnet: s.prefix.String(), Context: context(words), Options: f.of(s.options, s.options)}
		if s.lease != 0 {
			sub.Valid = leaseSeconds(f.is4, s.lease)
		}
		if len(s.relays) > 0 {
			sub.Relay = map[string]any{"ip-addresses": s.relays}
		}
		f.taken("relay of the subnet", &d.Relays)
		for _, x := range s.pools {
			sub.Pools = append(sub.Pools, keaPool{x.From().String() + " - " + x.To().String(), x.class, f.of(x.options, x.options), context(x.comment)})
		}
		for _, pd := range s.pd {
			sub.PD = append(sub.PD, keaDelegated{pd.Prefix.Addr().String(), pd.Prefix.Bits(), pd.Length})
		}
		f.taken("pd-pools", &d.Delegated)
		for _, h := range s.hosts {
			sub.Hosts = append(sub.Hosts, f.host(h, s))
		}
		if f.is4 {
			net.Subnets4 = append(net.Subnets4, sub)
		} else {
			net.Subnets6 = append(net.Subnets6, sub)
		}
	}
	f.out.Networks = append(f.out.Networks, net)
}

// host writes the reservation of a host in a subnet. Of several addresses in a subnet of IPv4, Kea
// has the first one.
func (f *keaFile) host(h *host, s *subnet) keaHost {
	out := f.named(h)
	for _, a := range h.in(s.prefix) {
		if !f.is4 {
			out.Addrs = append(out.Addrs, a.String())
		} else if out.Addr == "" {
			out.Addr = a.String()
		}
	}
	return out
}

// named is a host without its addresses. Kea sends the name of a host to it, which racks do for
// machines and devices alone.
func (f *keaFile) named(h *host) keaHost {
	out := keaHost{MAC: h.mac.String(), Options: f.of(h.options4, h.options6), Context: context(h.comment)}
	if h.node {
		out.Hostname = h.name
	} else if h.comment == "" {
		out.Context = context(h.name)
	}
	return out
}

// anywhere writes a host that has no address of the family, and has options or a name.
func (f *keaFile) anywhere(h *host) {
	out := f.named(h)
	for _, a := range h.addrs {
		if a.Is4() == f.is4 {
			return
		}
	}
	if len(out.Options) == 0 && (!f.is4 || len(h.addrs) > 0) {
		return
	}
	f.out.Hosts, f.out.Global = append(f.out.Hosts, out), true
}

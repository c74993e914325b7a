package siteexport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"github.com/gomaas/maas/dhcpsrv"
)

// text is a configuration in lines.
type text struct {
	strings.Builder
	depth int
}

func (t *text) line(format string, args ...any) {
	t.WriteString(strings.Repeat("  ", t.depth))
	fmt.Fprintf(t, format, args...)
	t.WriteByte('\n')
}

func (t *text) open(format string, args ...any) {
	t.line(format+" {", args...)
	t.depth++
}

func (t *text) shut() {
	t.depth--
	t.line("}")
}

// comment writes a text that users wrote, in one line.
func (t *text) comment(words string) {
	if words = oneLine(words); words != "" {
		t.line("# %s", words)
	}
}

func oneLine(words string) string { return strings.Join(strings.Fields(words), " ") }

// dhcpdFile is dhcpd.conf or dhcpd6.conf.
type dhcpdFile struct {
	text
	*page
	is4     bool
	declare []string // options without a name in dhcpd
}

func writeDhcpd(p *page) {
	s := p.dhcp()
	p.boots()
	for _, is4 := range []bool{true, false} {
		if networks := s.ofVersion(is4); len(networks) > 0 {
			f := dhcpdFile{page: p, is4: is4}
			f.site(s, networks)
			name := map[bool]string{true: "dhcpd.conf", false: "dhcpd6.conf"}[is4]
			p.add(name, "# "+written+"\n"+head(f.declare)+f.String())
		}
	}
}

// written is the first line of files.
const written = "Written by maas export from a site document; changes here are lost."

func head(declare []string) string {
	if len(declare) == 0 {
		return ""
	}
	return strings.Join(declare, "\n") + "\n"
}

func (f *dhcpdFile) options(all dhcpsrv.Options) {
	for _, o := range all {
		line, declare := dhcpdOption(o, f.is4)
		if declare != "" && !slices.Contains(f.declare, declare) {
			f.declare = append(f.declare, declare)
		}
		f.line("%s", line)
	}
}

func (f *dhcpdFile) site(s *dhcpSite, networks []*network) {
	f.line("authoritative;")
	f.leaseTime(leaseSeconds(f.is4, s.lease))
	if f.is4 {
		f.declare = append(f.declare, "option client-arch code 93 = unsigned integer 16;")
		f.options(s.options4)
	} else {
		f.declare = append(f.declare, "option dhcp6.client-arch-type code 61 = unsigned integer 16;")
		f.options(s.options6)
	}
	f.boot()
	for _, c := range s.classes {
		f.class(c)
	}
	for _, n := range networks {
		f.network(n)
	}
	for _, h := range s.hosts {
		f.host(h)
	}
}

// leaseTime writes the length of leases, which clients cannot ask to be longer.
func (f *dhcpdFile) leaseTime(seconds int) {
	f.line("default-lease-time %d;", seconds)
	f.line("max-lease-time %d;", seconds)
}

// archIs is the condition that firmware is of one of some architectures.
func (f *dhcpdFile) archIs(archs []uint16) string {
	name := map[bool]string{true: "client-arch", false: "dhcp6.client-arch-type"}[f.is4]
	var any []string
	for _, a := range archs {
		any = append(any, fmt.Sprintf("option %s = %s", name, colons(binary.BigEndian.AppendUint16(nil, a))))
	}
	return strings.Join(any, " or ")
}

// boot writes the boot file of each architecture, iPXE first: it is of some architecture as well.
func (f *dhcpdFile) boot() {
	files := f.bootFiles(f.is4)
	if len(files) == 0 {
		return
	}
	name := "filename"
	user := `option user-class = "iPXE"`
	vendor := `substring (option vendor-class-identifier, 0, 10) = "HTTPClient"`
	if f.is4 {
		f.line("next-server %s;", f.o.BootServer)
	} else { // dhcpd has no names for these; after the length of the class, and after the enterprise number and the length
		f.declare = append(f.declare, "option dhcp6.user-class code 15 = string;", "option dhcp6.vendor-class code 16 = string;")
		name = "option dhcp6.bootfile-url"
		user = `substring (option dhcp6.user-class, 2, 4) = "iPXE"`
		vendor = `substring (option dhcp6.vendor-class, 6, 10) = "HTTPClient"`
	}
	f.line("if %s {\n  %s %q;", user, name, f.scriptURL())
	last := ""
	for _, b := range files {
		switch {
		case len(b.archs) == 0:
			last = b.file
		case b.http && f.is4: // which firmware demands in the answer (UEFI 2.10 section 24.7)
			f.line("} elsif %s and (%s) {\n  %s %q;\n  option vendor-class-identifier \"HTTPClient\";", vendor, f.archIs(b.archs), name, b.file)
		case b.http:
			f.line("} elsif %s and (%s) {\n  %s %q;", vendor, f.archIs(b.archs), name, b.file)
		default:
			f.line("} elsif %s {\n  %s %q;", f.archIs(b.archs), name, b.file)
		}
	}
	if last != "" {
		f.line("} else {\n  %s %q;", name, last)
	}
	f.line("}")
}

func (f *dhcpdFile) class(c *class) {
	if !f.is4 && (c.VendorClass != "" || c.UserClass != "" || len(c.MACPrefix) > 0 || len(c.CircuitID) > 0) {
		f.changed("the class is of IPv4 alone: dhcpd compares other options of IPv6 in bytes", &c.doc.Name)
		return
	}
	var all []string
	if v := c.VendorClass; v != "" {
		all = append(all, fmt.Sprintf("substring (option vendor-class-identifier, 0, %d) = %s", len(v), dhcpdText([]byte(v))))
	}
	if v := c.UserClass; v != "" {
		all = append(all, "option user-class = "+dhcpdText([]byte(v)))
	}
	if mac := c.MACPrefix; len(mac) > 0 {
		all = append(all, fmt.Sprintf("substring (hardware, 1, %d) = %s", len(mac), mac))
	}
	if id := c.CircuitID; len(id) > 0 {
		all = append(all, "option agent.circuit-id = "+dhcpdText(id))
	}
	if archs := f.archIs(c.Arch); archs != "" {
		all = append(all, "("+archs+")")
	}
	f.comment(c.doc.Description)
	f.changed("a comment of the class", &c.doc.Description)
	f.open("class %s", strconv.Quote(c.doc.Name))
	f.line("match if %s;", strings.Join(all, " and "))
	if c.Ignore {
		f.line("ignore booting;")
	}
	if f.is4 {
		f.options(c.Options)
	} else {
		f.options(c.Options6)
	}
	f.shut()
}

// dhcpdText writes bytes as text in quotes, or in hexadecimal if they are no plain text.
func dhcpdText(data []byte) string {
	if slices.ContainsFunc(data, func(c byte) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		return colons(data)
	}
	return `"` + string(data) + `"`
}

func (f *dhcpdFile) network(n *network) {
	f.open("shared-network %s", strconv.Quote(n.name))
	// A question for information alone has no address, and so to dhcpd no subnet.
	if !f.is4 {
		f.options(common(n.subnets))
	}
	for _, s := range n.subnets {
		f.subnet(s)
	}
	f.shut()
}

// common returns the options that all subnets have alike, and leaves each the others as its own.
func common(subnets []*subnet) (out dhcpsrv.Options) {
	for _, o := range subnets[0].options {
		if !slices.ContainsFunc(subnets, func(s *subnet) bool {
			return !slices.ContainsFunc(s.options, func(x dhcpsrv.Option) bool { return x.Code == o.Code && bytes.Equal(x.Data, o.Data) })
		}) {
			out = append(out, o)
		}
	}
	for _, s := range subnets {
		s.own = slices.DeleteFunc(slices.Clone(s.options), func(o dhcpsrv.Option) bool {
			return slices.ContainsFunc(out, func(x dhcpsrv.Option) bool { return x.Code == o.Code })
		})
	}
	return out
}

func (f *dhcpdFile) subnet(s *subnet) {
	d := s.doc
	if d.Name != d.CIDR {
		f.comment(d.Name)
		f.changed("a comment", &d.Name)
	} else {
		f.left("the prefix is its name", &d.Name)
	}
	f.comment(d.Description)
	f.changed("a comment", &d.Description)
	if f.is4 {
		f.open("subnet %s netmask %s", s.prefix.Addr(), net.IP(net.CIDRMask(s.prefix.Bits(), 32)))
	} else {
		f.open("subnet6 %s", s.prefix)
	}
	if s.lease != 0 {
		f.leaseTime(leaseSeconds(f.is4, s.lease))
	}
	f.left("dhcpd knows the subnet of a relay by its address alone: give the relay an address of the subnet", &d.Relays)
	if f.is4 {
		f.options(s.options)
	} else {
		f.options(s.own)
	}
	for _, x := range s.pools {
		f.pool(x)
	}
	for _, pd := range s.pd {
		last := netip.PrefixFrom(netipx.PrefixLastIP(pd.Prefix), pd.Length).Masked()
		f.line("prefix6 %s %s / %d;", pd.Prefix.Addr(), last.Addr(), pd.Length)
	}
	f.taken("prefix6", &d.Delegated)
	f.shut()
}

func (f *dhcpdFile) pool(x pool) {
	word := map[bool]string{true: "", false: "6"}[f.is4]
	f.comment(x.comment)
	if x.class == "" && len(x.options) == 0 {
		f.line("range%s %s %s;", word, x.From(), x.To())
		return
	}
	f.open("pool%s", word)
	if x.class != "" {
		f.line("allow members of %s;", strconv.Quote(x.class))
	}
	f.options(x.options)
	f.line("range%s %s %s;", word, x.From(), x.To())
	f.shut()
}

// host writes a host: for IPv4 also one without an address there, whose options dhcpd sends.
func (f *dhcpdFile) host(h *host) {
	var fixed []string
	for _, a := range h.addrs {
		if a.Is4() == f.is4 {
			fixed = append(fixed, a.String())
		}
	}
	options := h.options4
	if !f.is4 {
		options = h.options6
	}
	if len(fixed) == 0 && len(options) == 0 && (!f.is4 || len(h.addrs) > 0) {
		return
	}
	f.comment(h.comment)
	f.open("host %s", h.name)
	f.line("hardware ethernet %s;", h.mac)
	if len(fixed) > 0 {
		f.line("fixed-address%s %s;", map[bool]string{true: "", false: "6"}[f.is4], strings.Join(fixed, ", "))
	}
	f.options(options)
	f.shut()
}

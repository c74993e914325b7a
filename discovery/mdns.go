package discovery

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const portMDNS = 5353

// Groups that multicast DNS is sent to (RFC 6762 section 3).
var (
	mdnsGroup4 = netip.AddrFrom4([4]byte{224, 0, 0, 251})
	mdnsGroup6 = netip.MustParseAddr("ff02::fb")
)

// Bounds of what is taken from one device.
const (
	maxNames    = 8
	maxAddrs    = 16
	maxServices = 64
)

// cacheFlush is the top bit of a record's class: this record replaces others of its name and type
// (RFC 6762 section 10.2).
const cacheFlush = 1 << 15

// decodeMDNS reads a multicast DNS packet (RFC 6762), also one with services (RFC 6763), and
// appends what was seen to out: the sender at its address, and as hearsay at others that it claims.
// foreign is how many of the records were about names outside of .local, which multicast DNS has no
// say in.
func decodeMDNS(f Frame, out []Observation) (_ []Observation, foreign int, err error) {
	d, ok := ipPacket(f)
	if !ok {
		return out, 0, ErrMalformed
	}
	srcPort, _, body, ok := d.udp()
	// Answers come from this port and do not leave the link (RFC 6762 sections 6 and 11).
	if !ok || srcPort != portMDNS || len(body) < 12 {
		return out, 0, ErrMalformed
	}
	// Unicast questions (RFC 6762 section 5.5) may come from other links.
	if !usable(d.src) || !f.Src.Unicast() || body[2]&0x80 == 0 && d.dst != mdnsGroup4 && d.dst != mdnsGroup6 {
		return out, 0, ErrNoObservation
	}
	if body[2]&0x80 == 0 { // a question shows its sender
		return append(out, Observation{Addr: d.src, MAC: f.Src, VID: f.VID, Source: MDNS}), 0, nil
	}
	var msg dns.Msg
	if err := msg.Unpack(body); err != nil {
		return out, 0, ErrMalformed
	}
	c := claims{hosts: map[string][]netip.Addr{}}
	for _, rr := range append(msg.Answer, msg.Extra...) {
		c.record(rr)
	}
	return c.observations(f, d.src, out), c.foreign, nil
}

// claims collects what the records of one packet say.
type claims struct {
	foreign  int
	hosts    map[string][]netip.Addr // by name, without .local
	order    []string                // of the names
	addrs    []netip.Addr            // of all hosts
	flush    bool
	goodbye  []string
	services []offered
}

type offered struct {
	Service
	host string // that offers it; "" = not said
	gone bool
}

// local is a name without the domain, false for one outside of it.
func local(name string) (string, bool) {
	lower := strings.ToLower(name)
	if !strings.HasSuffix(lower, ".local.") || len(name) <= len(".local.") {
		return "", false
	}
	return name[:len(name)-len(".local.")], true
}

func (c *claims) record(rr dns.RR) {
	h := rr.Header()
	if h.Rrtype == dns.TypeOPT || h.Rrtype == dns.TypeNSEC {
		return
	}
	if strings.HasSuffix(strings.ToLower(h.Name), ".arpa.") {
		c.reverse(rr)
		return
	}
	name, ok := local(h.Name)
	if !ok {
		c.foreign++
		return
	}
	switch rr := rr.(type) {
	case *dns.A:
		c.address(name, rr.A, h)
	case *dns.AAAA:
		c.address(name, rr.AAAA, h)
	case *dns.SRV:
		if s, ok := serviceOf(name); ok && len(c.services) < maxServices {
			host, _ := local(rr.Target)
			s.Port = rr.Port
			c.services = append(c.services, offered{s, host, h.Ttl == 0})
		}
	}
}

// reverse takes the name of an address (section 4).
func (c *claims) reverse(rr dns.RR) {
	ptr, ok := rr.(*dns.PTR)
	if !ok {
		return
	}
	name, ok := local(ptr.Ptr)
	if !ok {
		c.foreign++
		return
	}
	if a := arpaAddr(ptr.Hdr.Name); a.IsValid() {
		c.address(name, a.AsSlice(), &ptr.Hdr)
	}
}

// arpaAddr returns the address of a reverse name, not valid for other names.
func arpaAddr(name string) netip.Addr {
	labels := dns.SplitDomainName(strings.ToLower(name))
	slices.Reverse(labels)
	if len(labels) < 2 {
		return netip.Addr{}
	}
	text := ""
	switch rest := labels[2:]; {
	case labels[1] == "in-addr" && len(rest) == 4:
		text = strings.Join(rest, ".")
	case labels[1] == "ip6" && len(rest) == 32:
		for group := range slices.Chunk(rest, 4) {
			text += ":" + strings.Join(group, "")
		}
		text = text[1:]
	}
	a, _ := netip.ParseAddr(text)
	return a
}

func (c *claims) address(name string, ip []byte, h *dns.RR_Header) {
	a, ok := netip.AddrFromSlice(ip)
	host := hostname([]byte(name))
	if !ok || host == "" || len(c.hosts) >= maxNames && c.hosts[host] == nil {
		return
	}
	if c.hosts[host] == nil {
		c.order = append(c.order, host)
	}
	if h.Ttl == 0 { // goodbye (section 10.1)
		c.goodbye = append(c.goodbye, host)
	}
	c.flush = c.flush || h.Class&cacheFlush != 0
	a = a.Unmap()
	if len(c.addrs) >= maxAddrs {
		return
	}
	c.hosts[host] = append(c.hosts[host], a)
	if !slices.Contains(c.addrs, a) {
		c.addrs = append(c.addrs, a)
	}
}

// serviceOf splits the name of a service's instance such as "Office printer._ipp._tcp".
func serviceOf(name string) (Service, bool) {
	labels := dns.SplitDomainName(name)
	if len(labels) < 3 {
		return Service{}, false
	}
	kind, proto := labels[len(labels)-2], strings.ToLower(labels[len(labels)-1])
	if !strings.HasPrefix(kind, "_") || proto != "_tcp" && proto != "_udp" {
		return Service{}, false
	}
	instance := unescape(strings.Join(labels[:len(labels)-2], "."))
	return Service{Type: clean([]byte(kind + "." + proto)), Name: clean([]byte(instance))}, true
}

// unescape undoes the presentation format's backslashes (RFC 1035 section 5.1).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			out = append(out, s[i])
		case i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]):
			out = append(out, byte(int(s[i+1]-'0')*100+int(s[i+2]-'0')*10+int(s[i+3]-'0')))
			i += 3
		default:
			i++
			out = append(out, s[i])
		}
	}
	return string(out)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// mdnsTTL is the time for which an announcement shows that a device is present. Records live for
// two minutes, but responders repeat them only when asked, so that their TTL does not tell.
const mdnsTTL = 75 * time.Minute

// observations appends one for the sender's own address, and one of hearsay for each other address
// that it claims.
func (c *claims) observations(f Frame, src netip.Addr, out []Observation) []Observation {
	own := Observation{Addr: src, MAC: f.Src, VID: f.VID, Source: MDNS, Info: c.info(src)}
	for _, s := range c.services {
		// A service is the sender's unless it says that another host has it.
		if len(c.hosts) == 0 || slices.Contains(c.hosts[s.host], src) {
			own.Info.take(s)
		}
	}
	out = append(out, own)
	for _, a := range c.addrs {
		if a == src || !usable(a) {
			continue
		}
		other := Observation{Addr: a, MAC: f.Src, VID: f.VID, Source: MDNS, Hearsay: true, Info: c.info(a)}
		for _, s := range c.services {
			if slices.Contains(c.hosts[s.host], a) {
				other.Info.take(s)
			}
		}
		out = append(out, other)
	}
	return out
}

// info holds the names of an address.
func (c *claims) info(a netip.Addr) *Info {
	info := &Info{ttl: mdnsTTL}
	for _, host := range c.order {
		switch {
		case !slices.Contains(c.hosts[host], a):
		case slices.Contains(c.goodbye, host):
			info.goodbye = MDNS
		default:
			info.Names = append(info.Names, Name{host, MDNS})
			if c.flush {
				info.flush = MDNS
			}
		}
	}
	return info
}

func (i *Info) take(s offered) {
	if s.gone {
		i.ended = append(i.ended, s.Service)
	} else {
		i.Services = append(i.Services, s.Service)
	}
}

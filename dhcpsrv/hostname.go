package dhcpsrv

import (
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// Flags of the client's name, option 81 (RFC 4702 section 2.1) and 39 of IPv6 (RFC 4704 section
// 4.1), where fqdnNone is 4.
const (
	fqdnServer   = 0x01 // the server enters the name in DNS
	fqdnOverride = 0x02 // although the client asked for the opposite
	fqdnWire     = 0x04 // IPv4: the name is in DNS wire form
	fqdnNone     = 0x08 // no entry in DNS
	fqdnNone6    = 0x04
	maxFQDN      = 3 + 255
)

// fqdnFlags answers the flags of a client: the server's side enters the names of leases in DNS,
// unless the client wants no entry at all.
func fqdnFlags(asked, none byte) byte {
	switch {
	case asked&none != 0:
		return none
	case asked&fqdnServer != 0:
		return fqdnServer
	}
	return fqdnServer | fqdnOverride
}

// appendFQDN appends the full name of a client: the name of its reservation, else its own, in the
// domain of the subnet unless the name has one.
func appendFQDN(dst []byte, res *Reservation, claimed []byte, domain string) []byte {
	if res != nil && res.Hostname != "" {
		dst = append(dst, res.Hostname...)
	} else {
		dst = append(dst, claimed...)
	}
	if len(dst) > 0 && domain != "" && !strings.Contains(string(dst), ".") {
		dst = append(append(dst, '.'), domain...)
	}
	return clip(dst, 253)
}

// appendLabels appends a name in DNS wire form.
func appendLabels(dst, name []byte) []byte {
	for len(name) > 0 {
		n := 0
		for n < len(name) && name[n] != '.' {
			n++
		}
		if n > 0 && n < 64 {
			dst = append(append(dst, byte(n)), name[:n]...)
		}
		name = name[min(n+1, len(name)):]
	}
	return append(dst, 0)
}

// writeFQDN answers option 81, which is sent only to clients that send it.
func writeFQDN(w *wire.Writer, d *decision, r *request) {
	v := r.Option(wire.OptFQDN)
	if len(v) < 3 || d.bootOnly {
		return
	}
	var claim, full, buf [2 * maxFQDN]byte
	name := appendFQDN(full[:0], d.res, hostname(claim[:], &r.Msg), d.sub.Domain)
	// Both result codes are 255: the entry is made after the client has its lease.
	out := append(buf[:0], fqdnFlags(v[0], fqdnNone)|v[0]&fqdnWire, 255, 255)
	switch {
	case v[0]&fqdnWire == 0:
		out = append(out, name...)
	case len(name) > 0:
		out = appendLabels(out, name)
	}
	w.Option(wire.OptFQDN, out[:min(len(out), 255)])
}

// writeFQDN6 answers option 39, which is sent only to clients that send it and ask for it (RFC 4704
// section 6).
func writeFQDN6(w *wire6.Writer, d *decision6, r *request6, sub *subnet6) {
	v := r.Options.Find(wire6.OptFQDN)
	if len(v) == 0 {
		return
	}
	for code := range r.Requested() {
		if code == wire6.OptFQDN {
			var claim, full, buf [2 * maxFQDN]byte
			name := appendFQDN(full[:0], d.res, appendHostname(claim[:0], dnsLabels(v[1:])), sub.Domain)
			out := append(buf[:0], fqdnFlags(v[0], fqdnNone6))
			if len(name) > 0 {
				out = appendLabels(out, name)
			}
			w.Option(wire6.OptFQDN, out)
			return
		}
	}
}

// appendHostname appends the characters of a client's name that a DNS name may hold; none may be
// left, and no label is longer than one of a DNS name. A client's name ends up in DNS and in logs,
// so nothing else passes.
func appendHostname(dst, b []byte) []byte {
	start, label := len(dst), 0
	for _, c := range clip(b, 253) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.':
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '_', c == ' ':
			c = '-'
		default:
			continue
		}
		if label++; c == '.' {
			label = 0
		} else if label > maxLabel {
			continue
		}
		if len(dst) > start || c != '-' && c != '.' {
			dst = append(dst, c)
		}
	}
	for len(dst) > start && (dst[len(dst)-1] == '-' || dst[len(dst)-1] == '.') {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// hostname appends the name a client gives itself to buf[:0]: option 81 (RFC 4702), else option 12.
func hostname(buf []byte, m *wire.Msg) []byte {
	v := m.Option(wire.OptFQDN)
	switch {
	case len(v) <= 3:
		return appendHostname(buf[:0], m.Option(wire.OptHostname))
	case v[0]&0x04 == 0:
		return appendHostname(buf[:0], v[3:])
	}
	return appendHostname(buf[:0], dnsLabels(v[3:]))
}

// dnsLabels turns a name in DNS wire form, possibly without its end, into text.
func dnsLabels(v []byte) (name []byte) {
	for len(v) > 0 && v[0] > 0 && int(v[0]) < len(v) {
		if len(name) > 0 {
			name = append(name, '.')
		}
		name = append(name, v[1:1+v[0]]...)
		v = v[1+v[0]:]
	}
	return name
}

// ClientName returns the name under which a client of a lease is found in the DNS: the first label
// of the host name that it gave, in lower case and cut to the 63 letters of a label, in a domain.
// It is "" if that is no label of a host (RFC 1123 section 2.1), such as "(none)". With an empty
// domain it is the label alone. Rack and region name leases by this one rule, so that they publish
// the same name.
func ClientName(hostname, domain string) string {
	label, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(hostname)), ".") // a client does not choose its domain
	if len(label) > maxLabel {
		label = strings.TrimRight(label[:maxLabel], "-")
	}
	if !isHostLabel(label) || slices.Contains(serviceNames, label) {
		return ""
	}
	if domain == "" {
		return label
	}
	return label + "." + strings.ToLower(domain)
}

// serviceNames are names by which programs look for services in their own domain: proxies
// (draft-ietf-wrec-wpad), tunnels (RFC 5214 section 8.3.2), name servers and the host itself (RFC
// 6761 section 6.3). A client does not become one by its host name.
var serviceNames = []string{"wpad", "isatap", "localhost", "ns", "ns1", "ns2", "maas-internal", "broadcasthost", "ip6-localhost", "ip6-loopback"}

// maxLabel is the longest label of a DNS name, in bytes (RFC 1035 section 2.3.4).
const maxLabel = 63

func isHostLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

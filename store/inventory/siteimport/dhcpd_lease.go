package siteimport

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// leaseReader translates the entries of dhcpd.leases, as dhcpd.leases(5) describes them.
type leaseReader struct {
	*builder
	// big says that integers in identities are in big-endian order: the file has them as the
	// processor of the server stores them, and names that order.
	big bool
}

// take translates the entry if the statement is one, and reports whether it is.
func (l *leaseReader) take(s *statement) bool {
	switch s.word(0) {
	case "lease":
		addr, err := netip.ParseAddr(s.word(1))
		if err != nil || len(s.words) != 2 {
			return false // lease limit in a class, say
		}
		l.lease4(s, addr)
	case "ia-na", "ia-ta", "ia-pd":
		if len(s.words) != 2 || !s.words[1].quoted {
			return false
		}
		l.lease6(s)
	case "authoring-byte-order":
		l.big = s.word(1) == "big-endian"
		l.put(s.whole(), Taken, "the order of bytes in identities")
	case "server-duid":
		l.put(s.whole(), LeftOut, "racks have a DUID of their own; clients of IPv6 rebind to them with their leases")
	case "failover":
		if !strings.EqualFold(s.name(len(s.words)-1), "state") {
			return false
		}
		l.put(s.whole(), LeftOut, "partner racks agree on it themselves")
	default:
		return false
	}
	return true
}

// whole is the place of a statement with all that is in it: an entry has one item.
func (s *statement) whole() place {
	p := s.place()
	p.tokens = s.all()
	return p
}

// all counts the tokens of a statement with those in it.
func (s *statement) all() int {
	n := s.tokens
	for _, in := range s.body {
		n += in.all()
	}
	return n
}

// entry is an entry of a lease file by the names of its statements.
func entry(s *statement) map[string]*statement {
	out := make(map[string]*statement, len(s.body))
	for _, in := range s.body {
		name := in.word(0)
		if name == "binding" {
			name = "state"
		}
		out[name] = in
	}
	return out
}

// last returns the last word of a statement; "" = there is no statement.
func (s *statement) last() string {
	if s == nil || len(s.words) < 2 {
		return ""
	}
	return s.words[len(s.words)-1].text
}

func (l *leaseReader) lease4(s *statement, addr netip.Addr) {
	is := entry(s)
	out := Lease{Addr: addr, Hostname: is["client-hostname"].last(), Start: leaseTime(is["starts"]), End: leaseTime(is["ends"])}
	// The last renewal, which failover partners compare.
	if at := leaseTime(is["cltt"]); !at.IsZero() {
		out.Start = at
	}
	if hw := is["hardware"]; hw != nil && hw.word(1) == "ethernet" {
		out.MAC, _ = net.ParseMAC(padMAC(hw.word(2)))
	}
	if uid := is["uid"]; uid != nil {
		out.ClientID = identity(uid.words[len(uid.words)-1])
	}
	l.state(s, out, is["state"].last())
}

// state adds a lease by the state of its entry.
func (l *leaseReader) state(s *statement, out Lease, state string) {
	switch strings.ToLower(state) {
	case "active", "": // files of old servers have no state
		l.addLease(s.whole(), out)
	// dhcpd abandons an address that answers a ping or that a client declines.
	case "abandoned":
		out.Declined = true
		l.addLease(s.whole(), out)
	default:
		l.endLease(s.whole(), out.Addr, out.Bits, "the lease has ended: it is "+clip(state))
	}
}

// lease6 translates an identity association, whose name is the IAID in four bytes and the DUID. It
// has one item, as the entry of a client, and one without tokens for each further address.
func (l *leaseReader) lease6(s *statement) {
	id := identity(s.words[1])
	if len(id) < 5 {
		l.put(s.whole(), LeftOut, "the identity is too short; correct it")
		return
	}
	// The bytes of the IAID are swapped against the packet on little-endian servers.
	iaid := binary.LittleEndian.Uint32(id)
	if l.big {
		iaid = binary.BigEndian.Uint32(id)
	}
	cltt := leaseTime(entry(s)["cltt"])
	counted := s.whole()
	for _, in := range s.body {
		if w := in.word(0); w != "iaaddr" && w != "iaprefix" {
			continue
		}
		out := Lease{DUID: id[4:], IAID: iaid, Start: cltt}
		if p, err := netip.ParsePrefix(in.word(1)); err == nil {
			out.Addr, out.Bits = p.Addr(), p.Bits()
		} else {
			out.Addr, _ = netip.ParseAddr(in.word(1))
		}
		is := entry(in)
		out.End = leaseTime(is["ends"])
		at := *in
		at.tokens, at.body, at.file, at.line = counted.tokens, nil, counted.file, in.line
		counted.tokens = 0
		l.state(&at, out, is["state"].last())
	}
	if counted.tokens > 0 {
		l.put(counted, LeftOut, "the entry has no address")
	}
}

// identity returns the bytes of an identity: text with escapes in quotes, or hexadecimal bytes with
// colons.
func identity(t token) []byte {
	if t.quoted {
		return []byte(t.text)
	}
	raw, _ := hex.DecodeString(strings.ReplaceAll(padMAC(t.text), ":", ""))
	return raw
}

// leaseTime reads: ends WEEKDAY YYYY/MM/DD HH:MM:SS in UTC, ends epoch SECONDS, or ends never.
func leaseTime(s *statement) time.Time {
	switch {
	case s == nil:
		return time.Time{}
	case s.word(1) == "never":
		return forever
	case s.word(1) == "epoch":
		n, _ := strconv.ParseInt(s.word(2), 10, 64)
		return time.Unix(n, 0).UTC()
	}
	at, _ := time.Parse("2006/1/2 15:4:5", s.name(2)+" "+s.name(3))
	return at
}

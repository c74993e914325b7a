package dnsupdate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net"

	"github.com/miekg/dns"
)

// Identifier types of DHCID records (RFC 4701 section 3.3).
const (
	byHardware = 0
	byClientID = 1
	byDUID     = 2
)

// dhcid returns the data of the host's DHCID record in presentation form, "" without an identifier.
func (h Host) dhcid() string {
	kind, id := h.identifier()
	if id == nil {
		return ""
	}
	// The digest covers the name in wire form and lower case (RFC 4701 section 3.5), so that the
	// records of one client at two names do not show that it is one.
	wire := make([]byte, 256)
	n, err := dns.PackDomainName(dns.CanonicalName(h.Name), wire, 0, nil, false)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append(id, wire[:n]...))
	data := binary.BigEndian.AppendUint16(nil, kind)
	data = append(data, 1) // SHA-256
	return base64.StdEncoding.EncodeToString(append(data, sum[:]...))
}

// identifier returns a copy of what tells the client apart.
func (h Host) identifier() (kind uint16, id []byte) {
	switch {
	case len(h.DUID) > 0:
		return byDUID, append([]byte{}, h.DUID...)
	// RFC 4361: type 255, an IAID of four bytes, and the DUID.
	case len(h.ClientID) > 5 && h.ClientID[0] == 255:
		return byDUID, append([]byte{}, h.ClientID[5:]...)
	case len(h.ClientID) > 0:
		return byClientID, append([]byte{}, h.ClientID...)
	case len(h.MAC) > 0:
		return byHardware, append([]byte{1}, h.MAC...) // 1 is Ethernet
	}
	return 0, nil
}

// clone returns a host that shares no memory with h: the caller's may be a buffer of packets.
func (h Host) clone() Host {
	h.MAC, h.ClientID, h.DUID = append(net.HardwareAddr(nil), h.MAC...), append([]byte(nil), h.ClientID...), append([]byte(nil), h.DUID...)
	return h
}

package boottest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// dhcp6Client is the DHCPv6 client of firmware, a loader or the system: it takes one address, and
// what there is to boot.
type dhcp6Client struct {
	*dhcpClient
	server netip.Addr // that answered last
}

var allServers6 = netip.MustParseAddrPort("[ff02::1:2]:547")

// enterpriseIntel is the enterprise number in the vendor class that UEFI firmware sends.
const enterpriseIntel = 343

// exchange goes from SOLICIT to REPLY.
func (c *dhcp6Client) exchange(ctx context.Context) (*Lease, error) {
	conn, err := c.node.listenUDP(546)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c.conn = conn
	lease, err := c.obtain6()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return lease, err
}

func (c *dhcp6Client) obtain6() (*Lease, error) {
	solicit := c.message6(dhcpv6.MessageTypeSolicit)
	advertise, err := c.ask6(solicit, dhcpv6.MessageTypeAdvertise)
	if err != nil {
		return nil, err
	}
	c.offers++
	request := c.message6(dhcpv6.MessageTypeRequest)
	request.UpdateOption(dhcpv6.OptServerID(advertise.Options.ServerID()))
	if ia := advertise.Options.OneIANA(); ia != nil {
		request.UpdateOption(ia)
	}
	reply, err := c.ask6(request, dhcpv6.MessageTypeReply)
	if err != nil {
		return nil, err
	}
	return c.accept6(reply)
}

// message6 makes a message with what the personality puts into it, as EDK II and iPXE do: a DUID of
// the machine's UUID.
func (c *dhcp6Client) message6(kind dhcpv6.MessageType) *dhcpv6.Message {
	m := &dhcpv6.Message{MessageType: kind}
	_, _ = rand.Read(m.TransactionID[:])
	var duid dhcpv6.DUID = &dhcpv6.DUIDUUID{UUID: c.cfg.UUID}
	if !c.fw.UUID {
		duid = &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: c.cfg.MAC}
	}
	m.AddOption(dhcpv6.OptClientID(duid))
	m.AddOption(dhcpv6.OptElapsedTime(0))
	m.AddOption(&dhcpv6.OptIANA{IaId: [4]byte(c.cfg.MAC[2:6])})
	m.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionBootfileURL,
		dhcpv6.OptionBootfileParam, dhcpv6.OptionVendorClass))
	if len(c.fw.Arch) > 0 {
		var archs iana.Archs
		for _, a := range c.fw.Arch {
			archs = append(archs, iana.Arch(a))
		}
		m.AddOption(dhcpv6.OptClientArchType(archs...))
		if len(c.fw.NIC) > 0 {
			m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionNII, OptionData: c.fw.NIC})
		}
		m.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: enterpriseIntel, Data: [][]byte{[]byte(c.fw.VendorClass)}})
	}
	if c.fw.UserClass != "" { // iPXE sends it bare
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionUserClass, OptionData: []byte(c.fw.UserClass)})
	}
	if c.hostname != "" {
		m.AddOption(&dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{c.hostname}}})
	}
	return m
}

// ask6 sends a message to all servers until one answers.
func (c *dhcp6Client) ask6(m *dhcpv6.Message, want dhcpv6.MessageType) (*dhcpv6.Message, error) {
	for i, silence := range c.fw.Resend {
		if i > 0 {
			c.resent++
		}
		if err := c.conn.send(m.ToBytes(), netip.Addr{}, allServers6, nil); err != nil {
			return nil, err
		}
		c.conn.SetReadDeadline(time.Now().Add(silence))
		for {
			d, err := c.conn.receive()
			if isTimeout(err) {
				break
			}
			if err != nil {
				return nil, err
			}
			a, err := dhcpv6.MessageFromBytes(d.data)
			if err == nil && a.TransactionID == m.TransactionID && a.MessageType == want {
				c.server = d.from.Addr()
				return a, nil
			}
		}
	}
	return nil, fmt.Errorf("no answer to %v (%d sent)", m.MessageType, len(c.fw.Resend))
}

func (c *dhcp6Client) accept6(m *dhcpv6.Message) (*Lease, error) {
	ia := m.Options.OneIANA()
	if ia == nil || ia.Options.OneAddress() == nil {
		return nil, errors.New("the answer holds no address")
	}
	given := ia.Options.OneAddress()
	addr, _ := netip.AddrFromSlice(given.IPv6Addr)
	l := &Lease{By: c.by, Addr: addr, Mask: net.CIDRMask(c.seg.prefix.Bits(), 128), Server: c.server, Time: given.ValidLifetime,
		BootFile: m.Options.BootFileURL(), Offers: c.offers, Resent: c.resent}
	for _, ip := range m.Options.DNS() {
		if a, ok := netip.AddrFromSlice(ip); ok {
			l.DNS = append(l.DNS, a)
		}
	}
	if list := m.Options.DomainSearchList(); list != nil && len(list.Labels) > 0 {
		l.Domain = strings.TrimSuffix(list.Labels[0], ".")
	}
	if strings.HasPrefix(c.fw.VendorClass, "HTTPClient") && !hasClass(m, "HTTPClient") {
		l.BootFile = "" // UEFI 2.10 section 24.7.2: no offer for HTTP boot
	}
	if !c.seg.prefix.Contains(addr) || l.Time == 0 {
		return nil, fmt.Errorf("useless answer: address %v for %v on a segment with prefix %v", addr, l.Time, c.seg.prefix)
	}
	return l, nil
}

func hasClass(m *dhcpv6.Message, class string) bool {
	return slices.ContainsFunc(m.Options.VendorClass(enterpriseIntel), func(data []byte) bool { return string(data) == class })
}

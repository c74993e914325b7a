package boottest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// dhcpClient is the DHCP client of firmware, a loader or the system.
type dhcpClient struct {
	*boot
	fw       *Firmware
	by       string
	stage    Stage
	hostname string

	conn   *packetConn
	xid    [4]byte
	resent int
	offers int
}

// Option codes that the library has no use for.
const (
	optNIC      = 94
	optUUID     = 97
	optIPXEData = 175
)

// acquire gets a lease and gives its address to the node.
func (c *dhcpClient) acquire(ctx context.Context) (*Lease, error) {
	start := time.Now()
	c.progress(Progress{Stage: c.stage, What: "DISCOVER", Total: -1})
	lease, err := c.obtainAny(ctx)
	if err == nil {
		// An address that another node has fails the boot here. Real firmware would go on, and both
		// machines would lose packets.
		if err = c.node.setAddr(lease.Addr); err != nil {
			err = fmt.Errorf("address given twice: %w", err)
		}
	}
	if err != nil {
		c.progress(Progress{Stage: c.stage, What: "DISCOVER", Total: -1, Done: true, Err: err})
		return nil, err
	}
	lease.Duration = time.Since(start)
	c.report.Leases = append(c.report.Leases, *lease)
	c.progress(Progress{Stage: c.stage, What: "ACK", Total: -1, Done: true, Lease: lease})
	return lease, nil
}

// obtainAny speaks the DHCP of the segment.
func (c *dhcpClient) obtainAny(ctx context.Context) (*Lease, error) {
	if c.node.local.IsValid() {
		six := dhcp6Client{dhcpClient: c}
		return six.exchange(ctx)
	}
	return c.exchange(ctx, c.obtain)
}

// renew extends a lease with the server that gave it, or with any server (rebind). Over IPv6 it
// requests the same address in a new exchange.
func (c *dhcpClient) renew(ctx context.Context, lease *Lease, rebind bool) (*Lease, error) {
	if c.node.local.IsValid() {
		return c.obtainAny(ctx)
	}
	return c.exchange(ctx, func(ctx context.Context) (*Lease, error) {
		ask := c.message(dhcpv4.MessageTypeRequest)
		ask.ClientIPAddr = lease.Addr.AsSlice()
		to := netip.AddrPortFrom(lease.Server, 67)
		if rebind {
			to = netip.AddrPortFrom(broadcast, 67)
		}
		answers, err := c.ask(ctx, ask, to, noWait, isAnswer)
		if err != nil {
			return nil, err
		}
		return c.accept(answers[0])
	})
}

// exchange runs f with the client port open. A reader that ends with ctx cannot block.
func (c *dhcpClient) exchange(ctx context.Context, f func(context.Context) (*Lease, error)) (*Lease, error) {
	conn, err := c.node.listenUDP(68)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c.conn = conn
	binary.BigEndian.PutUint32(c.xid[:], rand.Uint32())
	lease, err := f(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return lease, err
}

// maxNAK bounds how often a client starts over.
const maxNAK = 3

// obtain goes from DISCOVER to ACK.
func (c *dhcpClient) obtain(ctx context.Context) (*Lease, error) {
	everybody := netip.AddrPortFrom(broadcast, 67)
	// After a NAK a client begins again with DISCOVER (RFC 2131 section 3.1). Firmware gives up
	// after a few.
	for range maxNAK {
		offers, err := c.ask(ctx, c.message(dhcpv4.MessageTypeDiscover), everybody, c.offerWait, isOffer)
		if err != nil {
			return nil, err
		}
		c.offers = len(offers)
		offer, proxy := choose(offers, c.fw.VendorClass)
		if offer == nil {
			return nil, errors.New("only proxyDHCP servers answered, nobody offers an address")
		}
		ask := c.message(dhcpv4.MessageTypeRequest)
		ask.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
		ask.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
		c.progress(Progress{Stage: c.stage, What: "REQUEST " + offer.YourIPAddr.String(), Total: -1})
		answers, err := c.ask(ctx, ask, everybody, noWait, isAnswer)
		if err != nil {
			return nil, err
		}
		if answers[0].MessageType() == dhcpv4.MessageTypeNak {
			continue
		}
		lease, err := c.accept(answers[0])
		if err == nil && proxy != nil {
			err = c.proxied(ctx, lease, proxy)
		}
		return lease, err
	}
	return nil, fmt.Errorf("%d offers in a row were refused (NAK) when they were accepted", maxNAK)
}

// Ports and options of proxyDHCP (PXE 2.1 section 2.2).
const (
	bootServerPort = 4011
	optVendor      = 43
)

// proxied adds the boot data of a proxyDHCP server, from its offer or from its answer on port 4011.
// Firmware asks there when the offer names no file or does not declare that it is enough (option
// 43, discovery control).
func (c *dhcpClient) proxied(ctx context.Context, lease *Lease, offer *dhcpv4.DHCPv4) error {
	if !c.fw.BootServer || bootFile(offer) != "" && useOffer(offer.Options.Get(dhcpv4.GenericOptionCode(optVendor))) {
		lease.addBoot(offer)
		return nil
	}
	if err := c.node.setAddr(lease.Addr); err != nil {
		return err
	}
	conn, err := c.node.listenUDP(bootServerPort)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// Firmware keeps its transaction ID and its options; only the port and the address are others.
	again := *c
	again.conn = conn
	ask := again.message(dhcpv4.MessageTypeRequest)
	ask.ClientIPAddr = lease.Addr.AsSlice()
	answers, err := again.ask(ctx, ask, netip.AddrPortFrom(addrOf(offer.ServerIdentifier()), bootServerPort), noWait, isAnswer)
	if err != nil {
		return fmt.Errorf("boot server on port %d: %w", bootServerPort, err)
	}
	lease.addBoot(answers[0])
	return nil
}

// useOffer reads bit 3 of PXE_DISCOVERY_CONTROL: take the file of the offer without asking on port
// 4011.
func useOffer(v []byte) bool {
	for len(v) >= 2 && v[0] != 255 && len(v) >= 2+int(v[1]) {
		if v[0] == 6 && v[1] == 1 {
			return v[2]&8 != 0
		}
		v = v[2+v[1]:]
	}
	return false
}

// offerWait returns the time to wait for more offers after the first one.
func (c *dhcpClient) offerWait(first *dhcpv4.DHCPv4) time.Duration {
	if c.cfg.Impatient || c.fw.IPXE != nil && skipsProxy(first.Options.Get(dhcpv4.GenericOptionCode(optIPXEData))) {
		return 0
	}
	return c.fw.OfferWait
}

func noWait(*dhcpv4.DHCPv4) time.Duration { return 0 }

// skipsProxy reports whether iPXE's option 176 in option 175 switches off the wait for proxyDHCP.
func skipsProxy(v []byte) bool {
	for len(v) >= 2 && len(v) >= 2+int(v[1]) {
		if v[0] == 176 && v[1] == 1 {
			return v[2] == 1
		}
		v = v[2+v[1]:]
	}
	return false
}

func isOffer(m *dhcpv4.DHCPv4) bool { return m.MessageType() == dhcpv4.MessageTypeOffer }

func isAnswer(m *dhcpv4.DHCPv4) bool {
	return m.MessageType() == dhcpv4.MessageTypeAck || m.MessageType() == dhcpv4.MessageTypeNak
}

// choose takes the first offer with an address, one with a boot file before others, and the first
// proxyDHCP offer. UEFI HTTP boot takes only offers of its own class (EDK II, HttpBootDxe), and all
// other firmware that of PXE.
func choose(offers []*dhcpv4.DHCPv4, class string) (best, proxy *dhcpv4.DHCPv4) {
	kind := "PXEClient"
	if strings.HasPrefix(class, "HTTPClient") {
		kind = "HTTPClient"
	}
	for _, o := range offers {
		switch {
		case o.YourIPAddr.IsUnspecified():
			if proxy == nil && strings.HasPrefix(o.ClassIdentifier(), kind) {
				proxy = o
			}
		case best == nil || bootFile(best) == "" && bootFile(o) != "":
			best = o
		}
	}
	return best, proxy
}

// bootFile returns the name in option 67, else in the header field.
func bootFile(m *dhcpv4.DHCPv4) string {
	if name := strings.TrimRight(m.BootFileNameOption(), "\x00"); name != "" {
		return name
	}
	return m.BootFileName
}

// ask sends a message until a server answers, then collects answers for the wait.
func (c *dhcpClient) ask(ctx context.Context, m *dhcpv4.DHCPv4, to netip.AddrPort, wait func(*dhcpv4.DHCPv4) time.Duration, want func(*dhcpv4.DHCPv4) bool) ([]*dhcpv4.DHCPv4, error) {
	var proxies []*dhcpv4.DHCPv4
	// The silences are captured ones: they decide how long a boot takes when packets are lost, and
	// whether a slow server is heard at all.
	for i, silence := range c.fw.Resend {
		if i > 0 {
			c.resent++
		}
		if err := c.conn.send(m.ToBytes(), netip.Addr{}, to, nil); err != nil {
			return nil, err
		}
		got, err := c.first(time.Now().Add(silence), want)
		if err != nil {
			return nil, err
		}
		if proxies = append(proxies, got...); len(got) == 0 || got[len(got)-1].YourIPAddr.IsUnspecified() && isOffer(got[0]) {
			continue
		}
		more, err := c.collect(time.Now().Add(wait(got[len(got)-1])), 16, want)
		return append(proxies, more...), err
	}
	if len(proxies) > 0 {
		return proxies, nil
	}
	return nil, fmt.Errorf("no answer to %v (%d sent)", m.MessageType(), len(c.fw.Resend))
}

// first waits for an answer. Offers without an address, of proxyDHCP servers, are none: it waits on
// for one that has.
func (c *dhcpClient) first(end time.Time, want func(*dhcpv4.DHCPv4) bool) (got []*dhcpv4.DHCPv4, err error) {
	for {
		one, err := c.collect(end, 1, want)
		if got = append(got, one...); err != nil || len(one) == 0 || !isOffer(one[0]) || !one[0].YourIPAddr.IsUnspecified() {
			return got, err
		}
	}
}

// collect reads up to n wanted answers until a time.
func (c *dhcpClient) collect(end time.Time, n int, want func(*dhcpv4.DHCPv4) bool) (out []*dhcpv4.DHCPv4, err error) {
	c.conn.SetReadDeadline(end)
	for len(out) < n {
		d, err := c.conn.receive()
		if isTimeout(err) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(d.data) < 8 || !bytes.Equal(d.data[4:8], c.xid[:]) {
			continue // a broadcast for another client
		}
		// Compared before decoding: with a thousand machines nearly all packets are broadcasts for
		// other clients.
		m, err := dhcpv4.FromBytes(d.data)
		if err == nil && m.OpCode == dhcpv4.OpcodeBootReply && m.TransactionID == c.xid && string(m.ClientHWAddr) == string(c.cfg.MAC) && want(m) {
			out = append(out, m)
		}
	}
	return out, nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// message makes a packet with what the personality puts into it.
func (c *dhcpClient) message(kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	fw := c.fw
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, ClientHWAddr: c.cfg.MAC, TransactionID: c.xid, Options: dhcpv4.Options{},
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
	}
	if fw.Broadcast {
		m.SetBroadcast()
	}
	size := fw.MaxSize
	if kind == dhcpv4.MessageTypeRequest && fw.MaxSizeAck != 0 {
		size = fw.MaxSizeAck
	}
	m.UpdateOption(dhcpv4.OptMessageType(kind))
	set := func(code uint8, data []byte) {
		if len(data) > 0 {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), data))
		}
	}
	if size != 0 {
		m.UpdateOption(dhcpv4.OptMaxMessageSize(size))
	}
	var arch []byte
	for _, a := range fw.Arch {
		arch = binary.BigEndian.AppendUint16(arch, a)
	}
	set(dhcpv4.OptionClientSystemArchitectureType.Code(), arch)
	set(optNIC, fw.NIC)
	set(dhcpv4.OptionClassIdentifier.Code(), []byte(fw.VendorClass))
	set(dhcpv4.OptionUserClassInformation.Code(), []byte(fw.UserClass))
	set(dhcpv4.OptionParameterRequestList.Code(), fw.Requested)
	set(optIPXEData, fw.IPXE)
	if fw.ClientID {
		// Type 1: an Ethernet address follows (RFC 2132 section 9.14).
		set(dhcpv4.OptionClientIdentifier.Code(), append([]byte{1}, c.cfg.MAC...))
	}
	if fw.UUID {
		// Type 0: a UUID follows (RFC 4578 section 2.3).
		set(optUUID, append([]byte{0}, c.cfg.UUID[:]...))
	}
	if c.hostname != "" { // as udhcpc -F sends it: name by option 81, the server shall update DNS
		set(dhcpv4.OptionFQDN.Code(), append([]byte{1, 0, 0}, c.hostname...))
		set(dhcpv4.OptionHostName.Code(), []byte(c.hostname))
	}
	return m
}

// errRefused is a NAK: the client must not use the address any more.
var errRefused = errors.New("refused (NAK)")

// accept reads an ACK.
func (c *dhcpClient) accept(m *dhcpv4.DHCPv4) (*Lease, error) {
	if m.MessageType() != dhcpv4.MessageTypeAck {
		return nil, errRefused
	}
	l := &Lease{
		By: c.by, Addr: addrOf(m.YourIPAddr), Mask: m.SubnetMask(), Server: addrOf(m.ServerIdentifier()), Time: m.IPAddressLeaseTime(0),
		Domain: strings.TrimRight(m.DomainName(), "\x00"), Hostname: m.HostName(), Options: map[uint8][]byte{}, Offers: c.offers, Resent: c.resent,
	}
	for _, ip := range m.Router() {
		l.Routers = append(l.Routers, addrOf(ip))
	}
	for _, ip := range m.DNS() {
		l.DNS = append(l.DNS, addrOf(ip))
	}
	for code, v := range m.Options {
		l.Options[code] = v
	}
	// Some firmware boots with such an answer and some hangs, so a test must not pass with it.
	if !c.seg.prefix.Contains(l.Addr) || len(l.Mask) != 4 || l.Time == 0 {
		return nil, fmt.Errorf("useless answer: address %v, mask %v, lease time %v on a segment with prefix %v", l.Addr, l.Mask, l.Time, c.seg.prefix)
	}
	l.addBoot(m)
	return l, nil
}

// addBoot takes the boot data of a message.
func (l *Lease) addBoot(m *dhcpv4.DHCPv4) {
	if a := addrOf(m.ServerIPAddr); a.IsValid() && !a.IsUnspecified() {
		l.NextServer = a
	}
	if f := bootFile(m); f != "" {
		l.BootFile = f
	}
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip.To4())
	return a
}

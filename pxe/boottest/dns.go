package boottest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS client: two tries per server, as small systems make them.
const (
	dnsTries   = 2
	dnsTimeout = time.Second
)

// lookupAddr returns the addresses of a name, of the segment's family, at least one.
func (b *boot) lookupAddr(ctx context.Context, name string) (addrs []netip.Addr, err error) {
	kind := dnsmessage.TypeA
	if b.node.local.IsValid() {
		kind = dnsmessage.TypeAAAA
	}
	err = b.query(ctx, strings.TrimSuffix(name, ".")+".", kind, func(r dnsmessage.ResourceBody) {
		switch a := r.(type) {
		case *dnsmessage.AResource:
			addrs = append(addrs, netip.AddrFrom4(a.A))
		case *dnsmessage.AAAAResource:
			addrs = append(addrs, netip.AddrFrom16(a.AAAA))
		}
	})
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("%s has no address", name)
	}
	return addrs, err
}

// reverseName is the name under which an address is looked up.
func reverseName(a netip.Addr) (name string) {
	if a.Is4() {
		v := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", v[3], v[2], v[1], v[0])
	}
	for _, v := range a.As16() {
		name = fmt.Sprintf("%x.%x.", v&15, v>>4) + name
	}
	return name + "ip6.arpa."
}

// lookupName returns the name of an address.
func (b *boot) lookupName(ctx context.Context, a netip.Addr) (name string, err error) {
	reverse := reverseName(a)
	err = b.query(ctx, reverse, dnsmessage.TypePTR, func(r dnsmessage.ResourceBody) {
		if p, ok := r.(*dnsmessage.PTRResource); ok && name == "" {
			name = strings.TrimSuffix(p.PTR.String(), ".")
		}
	})
	if err == nil && name == "" {
		err = fmt.Errorf("%v has no name", a)
	}
	return name, err
}

// query asks the DNS servers of the lease in turn.
func (b *boot) query(ctx context.Context, name string, kind dnsmessage.Type, each func(dnsmessage.ResourceBody)) error {
	if b.lease == nil || len(b.lease.DNS) == 0 {
		return fmt.Errorf("%s: DHCP gave no DNS server", name)
	}
	qname, err := dnsmessage.NewName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rand.Uint32()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: qname, Type: kind, Class: dnsmessage.ClassINET}},
	}
	packed, err := q.Pack()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for range dnsTries {
		for _, server := range b.lease.DNS {
			var answer *dnsmessage.Message
			if answer, err = b.askDNS(ctx, server, q.ID, packed); err != nil {
				continue
			}
			if answer.RCode != dnsmessage.RCodeSuccess {
				return fmt.Errorf("%s: DNS server %v says %v", name, server, answer.RCode)
			}
			for _, r := range answer.Answers {
				each(r.Body)
			}
			return nil
		}
	}
	return fmt.Errorf("%s: %w", name, err)
}

func (b *boot) askDNS(ctx context.Context, server netip.Addr, id uint16, packed []byte) (*dnsmessage.Message, error) {
	conn, err := b.node.listenUDP(0)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.send(packed, netip.Addr{}, netip.AddrPortFrom(server, 53), nil); err != nil {
		return nil, err
	}
	conn.SetReadDeadline(time.Now().Add(dnsTimeout))
	for {
		d, err := conn.receive()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case isTimeout(err):
			return nil, fmt.Errorf("no answer from DNS server %v", server)
		case err != nil:
			return nil, err
		}
		var m dnsmessage.Message
		if m.Unpack(d.data) == nil && m.ID == id && m.Response && d.from.Addr() == server {
			return &m, nil
		}
	}
}

// dial connects to "host:port" on the segment; a name is looked up first.
func (b *boot) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return b.node.DialContext(ctx, network, address)
	}
	addrs, err := b.lookupAddr(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.Join(errors.New("unknown host"), err)}
	}
	return b.node.DialContext(ctx, network, net.JoinHostPort(addrs[0].String(), port))
}

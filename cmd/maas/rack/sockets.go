package rack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/pxe/bootlog"
)

// Sockets are the sockets of a rack. A server whose field is empty does not run. Serve closes all
// of them.
type Sockets struct {
	DHCP      dhcpsrv.Conn
	DHCPBoot  dhcpsrv.Conn // port 4011, for firmware that got its address from another server
	DHCP6     dhcpsrv.Conn
	Advertise radv.Conn // for router advertisements
	TFTP      []net.PacketConn
	HTTP      []net.Listener
	DNSPacket []net.PacketConn
	DNSStream []net.Listener
	Proxy     []net.Listener
	Partner   []net.Listener // for failover partners
}

// Close closes all of them.
func (s *Sockets) Close() error {
	var errs []error
	if s.DHCP != nil {
		errs = append(errs, s.DHCP.Close())
	}
	if s.DHCPBoot != nil {
		errs = append(errs, s.DHCPBoot.Close())
	}
	if s.DHCP6 != nil {
		errs = append(errs, s.DHCP6.Close())
	}
	if s.Advertise != nil {
		errs = append(errs, s.Advertise.Close())
	}
	for _, c := range append(s.TFTP, s.DNSPacket...) {
		errs = append(errs, c.Close())
	}
	for _, group := range [][]net.Listener{s.HTTP, s.DNSStream, s.Proxy, s.Partner} {
		for _, l := range group {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// addresses returns the addresses that have sockets of their own.
func (s *Sockets) addresses() (out []netip.Addr) {
	add := func(local net.Addr) {
		if ap, err := netip.ParseAddrPort(local.String()); err == nil && !slices.Contains(out, ap.Addr()) {
			out = append(out, ap.Addr())
		}
	}
	for _, conn := range append(slices.Clone(s.TFTP), s.DNSPacket...) {
		add(conn.LocalAddr())
	}
	for _, ln := range append(slices.Clone(s.HTTP), s.DNSStream...) {
		add(ln.Addr())
	}
	return out
}

// Ports are the ports to open. A port of zero leaves the service out. Syslog is the UDP port for
// what machines log while they boot. DHCP includes router advertisements and, where an interface
// has an IPv6 address, DHCPv6 on port 547.
type Ports struct {
	DHCP, TFTP, HTTP, DNS, Proxy, Partner, Syslog int
}

// DefaultPorts returns the ports that a MAAS rack uses, with one for the logs of machines.
func DefaultPorts() Ports {
	return Ports{DHCP: 67, TFTP: 69, HTTP: 5248, DNS: 53, Proxy: 8000, Syslog: bootlog.DefaultPort}
}

// empty reports whether there are no sockets.
func (s *Sockets) empty() bool {
	return s.DHCP == nil && s.DHCPBoot == nil && s.DHCP6 == nil && s.Advertise == nil && len(s.TFTP) == 0 && len(s.HTTP) == 0 &&
		len(s.DNSPacket) == 0 && len(s.DNSStream) == 0 && len(s.Proxy) == 0 && len(s.Partner) == 0
}

// listen opens the sockets of the configured interfaces.
func (r *Rack) listen(ctx context.Context) (Sockets, error) {
	var links []Link
	for _, name := range r.cfg.Interfaces {
		link, err := FindLink(name)
		if err != nil {
			return Sockets{}, err
		}
		links = append(links, link)
	}
	return Listen(ctx, links, r.cfg.Ports)
}

// Listen opens the sockets on the addresses of the interfaces. It opens all of them, or none and
// returns an error that names the port and the cure.
func Listen(ctx context.Context, links []Link, ports Ports) (s Sockets, err error) {
	defer func() {
		if err != nil {
			s.Close()
			s = Sockets{}
		}
	}()
	if ports.DHCP != 0 {
		var names []string
		for _, link := range links {
			names = append(names, link.Name)
		}
		if err := s.listen6(links, names); err != nil {
			return s, err
		}
		if s.DHCP, err = listenDHCP(names, ports.DHCP); err != nil {
			return s, err
		}
		if s.DHCPBoot, err = listenDHCPBoot(names); err != nil {
			return s, err
		}
	}
	for _, link := range links {
		for _, prefix := range link.Prefixes {
			if err := s.listenOn(ctx, prefix.Addr(), ports); err != nil {
				return s, err
			}
		}
	}
	if ports.HTTP != 0 {
		return s, s.listenMetadata(ctx)
	}
	return s, nil
}

// listenDHCP opens the socket of DHCPv4. Absent, because a VLAN's interface may disappear and
// return while the others are served.
func listenDHCP(interfaces []string, port int) (dhcpsrv.Conn, error) {
	conn, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: interfaces, Port: port, Absent: true})
	if err != nil {
		return nil, ExplainPort(err, "DHCP", "udp", strconv.Itoa(port))
	}
	return conn, nil
}

// listenDHCPBoot opens the socket for firmware that got its address from another server.
func listenDHCPBoot(interfaces []string) (dhcpsrv.Conn, error) {
	conn, err := dhcplink.ListenBoot(dhcplink.ListenConfig{Interfaces: interfaces, Absent: true})
	if err != nil {
		return nil, ExplainPort(err, "DHCP boot server", "udp", strconv.Itoa(dhcpsrv.BootServerPort))
	}
	return conn, nil
}

// listenAdvertise opens the socket of router advertisements; nil on a host without IPv6.
func listenAdvertise(interfaces []string) (radv.Conn, error) {
	conn, err := dhcplink.ListenAdvertise(dhcplink.ListenConfig{Interfaces: interfaces, Absent: true})
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("router advertisements need privileges; run as root, or with CAP_NET_RAW: %w", oneLine(err))
	}
	return conn, nil
}

// port6 is the port of DHCPv6 servers (RFC 8415 section 7.2).
const port6 = "547"

// listen6 opens the sockets for IPv6. On a host without IPv6 it opens none.
func (s *Sockets) listen6(links []Link, names []string) (err error) {
	if s.Advertise, err = listenAdvertise(names); err != nil || s.Advertise == nil {
		return err
	}
	if !slices.ContainsFunc(links, Link.Has6) {
		return nil
	}
	s.DHCP6, err = listenDHCP6(names)
	return err
}

// listenOn opens the sockets that each address has of its own.
func (s *Sockets) listenOn(ctx context.Context, addr netip.Addr, ports Ports) error {
	packet := func(list *[]net.PacketConn, what string, port int) error {
		if port == 0 {
			return nil
		}
		conn, err := listenPacket(ctx, netip.AddrPortFrom(addr, uint16(port)), what)
		if err == nil {
			*list = append(*list, conn)
		}
		return err
	}
	stream := func(list *[]net.Listener, what string, port int) error {
		if port == 0 {
			return nil
		}
		ln, err := listenStream(ctx, netip.AddrPortFrom(addr, uint16(port)), what)
		if err == nil {
			*list = append(*list, ln)
		}
		return err
	}
	return cmp.Or(
		packet(&s.TFTP, "TFTP", ports.TFTP),
		packet(&s.DNSPacket, "DNS", ports.DNS),
		stream(&s.DNSStream, "DNS", ports.DNS),
		stream(&s.HTTP, "HTTP boot", ports.HTTP),
		stream(&s.Proxy, "proxy", ports.Proxy),
		stream(&s.Partner, "partner rack", ports.Partner),
	)
}

// awayToo allows a socket on an address that the host does not have at the moment (IP_FREEBIND). An
// interface may return after a restart of its link; the socket then serves, as sockets do that were
// opened before.
func awayToo(_, _ string, raw syscall.RawConn) (err error) {
	control := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) })
	return cmp.Or(control, err)
}

// ExplainPort adds the cure to the kernel's refusal of a socket, on one line. where is a port, or
// an address with a port.
func ExplainPort(err error, what, network, where string) error {
	port := where[strings.LastIndexByte(where, ':')+1:]
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: port %s/%s is in use by another program (ss -lnp 'sport = :%s' names it); stop that, or choose another port: %w",
			what, port, network, port, oneLine(err))
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%s: port %s/%s needs privileges; run as root, or with CAP_NET_BIND_SERVICE and CAP_NET_RAW: %w",
			what, port, network, oneLine(err))
	}
	return fmt.Errorf("%s: port %s/%s: %w", what, port, network, oneLine(err))
}

// oneLine keeps the cause and removes line breaks from its text.
func oneLine(err error) error {
	if !strings.Contains(err.Error(), "\n") {
		return err
	}
	return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

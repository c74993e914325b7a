package pxedhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dhcpsrv/radv"
)

// Sockets are the sockets of a site. A service whose field is empty does not run.
type Sockets struct {
	DHCP      dhcpsrv.Conn // port 67
	DHCPBoot  dhcpsrv.Conn // port 4011, for firmware that got its address from another server
	DHCP6     dhcpsrv.Conn // port 547
	Advertise radv.Conn    // for router advertisements
	// One for each address of the host. An answer leaves from the address that was asked.
	TFTP []net.PacketConn // port 69
	HTTP []net.Listener   // port 5248
}

// Listen opens the sockets of a site, on its interfaces and the addresses of its subnets: all of
// them, or none and an error that names the port and the cure. A program can open them first, drop
// its privileges, and give them to [Server.Serve]. Only Linux is supported; elsewhere give sockets
// of your own.
func Listen(ctx context.Context, site Site) (s Sockets, err error) {
	defer func() {
		if err != nil {
			s.Close()
			s = Sockets{}
		}
	}()
	networks, err := site.networks()
	if err != nil {
		return s, err
	}
	on := dhcplink.ListenConfig{Interfaces: networks.links}
	if networks.has(netip.Addr.Is4) {
		if s.DHCP, err = dhcplink.Listen(on); err != nil {
			return s, fmt.Errorf("pxedhcp: %w", err)
		}
		if s.DHCPBoot, err = dhcplink.ListenBoot(on); err != nil {
			return s, fmt.Errorf("pxedhcp: %w", err)
		}
	}
	if networks.has(netip.Addr.Is6) {
		if s.DHCP6, err = dhcplink.Listen6(on); err != nil {
			return s, fmt.Errorf("pxedhcp: %w", err)
		}
	}
	if len(networks.advertisements) > 0 {
		s.Advertise, err = dhcplink.ListenAdvertise(on)
		if errors.Is(err, syscall.EAFNOSUPPORT) { // a host without IPv6
			s.Advertise, err = nil, nil
		}
		if err != nil {
			return s, fmt.Errorf("pxedhcp: router advertisements: %w", err)
		}
	}
	port := site.Boot.HTTPPort
	if port == 0 {
		port = 5248
	}
	for _, addr := range networks.servers() {
		if err := s.listenBoot(ctx, addr, port); err != nil {
			return s, err
		}
	}
	return s, nil
}

// listenBoot opens the ports of the boot server on an address.
func (s *Sockets) listenBoot(ctx context.Context, addr netip.Addr, port int) error {
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, "udp", net.JoinHostPort(addr.String(), "69"))
	if err != nil {
		return explainPort(err, "TFTP", addr, "udp/69")
	}
	s.TFTP = append(s.TFTP, conn)
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(addr.String(), strconv.Itoa(port)))
	if err != nil {
		return explainPort(err, "HTTP", addr, fmt.Sprintf("tcp/%d", port))
	}
	s.HTTP = append(s.HTTP, ln)
	return nil
}

func explainPort(err error, what string, addr netip.Addr, port string) error {
	cure := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		cure = " is in use by another program (ss -lnp names it); stop that, or give Site.Sockets on another port"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		cure = " needs privileges; run as root, or with CAP_NET_BIND_SERVICE and CAP_NET_RAW"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		cure = " cannot be opened, since no interface has the address; give it to one, or correct Server in Site.Subnets"
	}
	return fmt.Errorf("pxedhcp: %s: port %s of %s%s: %w", what, port, addr, cure, err)
}

// Close closes all of them.
func (s *Sockets) Close() error {
	var errs []error
	for _, conn := range []dhcpsrv.Conn{s.DHCP, s.DHCPBoot, s.DHCP6} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	if s.Advertise != nil {
		errs = append(errs, s.Advertise.Close())
	}
	for _, conn := range s.TFTP {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	for _, ln := range s.HTTP {
		if ln != nil {
			errs = append(errs, ln.Close())
		}
	}
	return errors.Join(errs...)
}

// empty reports whether there are no sockets.
func (s *Sockets) empty() bool {
	return s.DHCP == nil && s.DHCPBoot == nil && s.DHCP6 == nil && s.Advertise == nil && len(s.TFTP) == 0 && len(s.HTTP) == 0
}

// check refuses what cannot be served.
func (s *Sockets) check() error {
	if s.empty() {
		return errors.New("pxedhcp: Sockets: there are none; Listen opens those of a Site")
	}
	for i, conn := range s.TFTP {
		if conn == nil {
			return fmt.Errorf("pxedhcp: Sockets.TFTP: socket %d is nil; leave it out", i)
		}
	}
	for i, ln := range s.HTTP {
		if ln == nil {
			return fmt.Errorf("pxedhcp: Sockets.HTTP: socket %d is nil; leave it out", i)
		}
	}
	return nil
}

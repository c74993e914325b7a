package rack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/gomaas/maas/dhcpsrv"
)

// Sockets are what a rack serves on. Empty fields are not served. Serve closes them.
type Sockets struct {
	DHCP      dhcpsrv.Conn
	TFTP      []net.PacketConn
	HTTP      []net.Listener
	DNSPacket []net.PacketConn
	DNSStream []net.Listener
	Proxy     []net.Listener
}

// Close closes all of them.
func (s *Sockets) Close() error {
	var errs []error
	if s.DHCP != nil {
		errs = append(errs, s.DHCP.Close())
	}
	for _, c := range append(s.TFTP, s.DNSPacket...) {
		errs = append(errs, c.Close())
	}
	for _, group := range [][]net.Listener{s.HTTP, s.DNSStream, s.Proxy} {
		for _, l := range group {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// Ports says which ports to open. Zero leaves a service out.
type Ports struct {
	DHCP, TFTP, HTTP, DNS, Proxy int
}

// Listen opens the sockets on the addresses of the links: all of them or, with an error that names the port and the cure,
// none.
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
		if s.DHCP, err = dhcpsrv.Listen(dhcpsrv.ListenConfig{Interfaces: names, Port: ports.DHCP}); err != nil {
			return s, ExplainPort(err, "DHCP", "udp", strconv.Itoa(ports.DHCP))
		}
	}
	for _, link := range links {
		for _, prefix := range link.Prefixes {
			if err := s.listenOn(ctx, prefix.Addr(), ports); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

func (s *Sockets) listenOn(ctx context.Context, addr netip.Addr, ports Ports) error {
	packet := func(list *[]net.PacketConn, what string, port int) error {
		if port == 0 {
			return nil
		}
		conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", netip.AddrPortFrom(addr, uint16(port)).String())
		if err != nil {
			return ExplainPort(err, what, "udp", strconv.Itoa(port))
		}
		*list = append(*list, conn)
		return nil
	}
	stream := func(list *[]net.Listener, what string, port int) error {
		if port == 0 {
			return nil
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", netip.AddrPortFrom(addr, uint16(port)).String())
		if err != nil {
			return ExplainPort(err, what, "tcp", strconv.Itoa(port))
		}
		*list = append(*list, ln)
		return nil
	}
	return cmp.Or(
		packet(&s.TFTP, "TFTP", ports.TFTP),
		packet(&s.DNSPacket, "DNS", ports.DNS),
		stream(&s.DNSStream, "DNS", ports.DNS),
		stream(&s.HTTP, "HTTP boot", ports.HTTP),
		stream(&s.Proxy, "proxy", ports.Proxy),
	)
}

// ExplainPort turns the kernel's refusal of a socket into what to do about it, on one line. where is a port, or an address
// with one.
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

// oneLine keeps the cause and drops line breaks from its text.
func oneLine(err error) error {
	if !strings.Contains(err.Error(), "\n") {
		return err
	}
	return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

package rack

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// addMedium makes a boot medium and returns its URL, at the address that its reader reaches.
func (r *Rack) addMedium(ctx context.Context, q pxerpc.MediumRequest) (string, error) {
	machine := q.Network.Address.Addr()
	toward, err := r.serving(ctx, cmp.Or(q.Reader, machine.String()))
	if err != nil {
		return "", err
	}
	// The machine may not be reached now, as from a rack that reaches its BMC alone.
	server, err := r.serving(ctx, machine.String())
	if err != nil {
		server = toward
	}
	path, err := r.boot.AddMedium(pxe.MediumRequest{MAC: q.MAC, Profile: q.Profile, Network: q.Network, Server: server})
	if err != nil {
		return "", err
	}
	return firmware.Endpoint{Addr: toward, HTTPPort: cmp.Or(r.cfg.HTTPPort, firmware.DefaultHTTPPort)}.URL() + path, nil
}

// serving returns the address at which the boot server answers a host: this host's on the way to
// it, else another one of the rack's interfaces, which routers lead to.
func (r *Rack) serving(ctx context.Context, host string) (netip.Addr, error) {
	facing, err := facing(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	port := strconv.Itoa(cmp.Or(r.cfg.HTTPPort, firmware.DefaultHTTPPort))
	for _, addr := range append([]netip.Addr{facing}, addressesOf(r.cfg.Interfaces, facing)...) {
		// Sockets follow addresses, and may be in front of the rack: a connection shows.
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), port))
		if err == nil {
			return addr, conn.Close()
		}
	}
	return netip.Addr{}, fmt.Errorf("the boot server answers at no address that %s reaches; see maas rack list", host)
}

// addressesOf returns the addresses of interfaces that are of the family of another one.
func addressesOf(names []string, like netip.Addr) (out []netip.Addr) {
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			continue // it is gone
		}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() == like.Is4() && !p.Addr().IsLinkLocalUnicast() {
				out = append(out, p.Addr())
			}
		}
	}
	return out
}

// facing returns this host's address on the way to another one.
func facing(ctx context.Context, host string) (netip.Addr, error) {
	// Connecting a UDP socket looks up the route and sends nothing; any port does.
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(host, "9"))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("no way to %s: %w", host, err)
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, fmt.Errorf("no way to %s", host)
	}
	return local.AddrPort().Addr().Unmap().WithZone(""), nil
}

package rack

import (
	"context"

	"github.com/gomaas/maas/cmd/maas/internal/supervise"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
)

// dhcp6Tasks returns the task that serves DHCPv6: at once if there is a socket, else after the
// first IPv6 address of the rack.
func (r *Rack) dhcp6Tasks(s Sockets) []task {
	switch {
	case s.DHCP6 != nil:
		return []task{onSocket("dhcpv6", "", s.DHCP6, r.dhcp.Serve6, again(r.cfg.Interfaces, listenDHCP6))}
	case r.cfg.Ports.DHCP != 0 && len(r.cfg.Interfaces) > 0:
		return []task{newTask("dhcpv6 to come", r.serve6Later)}
	}
	return nil
}

// serve6Later waits for the first IPv6 address and serves DHCPv6 until ctx ends. If the port is in
// use, it tries again.
func (r *Rack) serve6Later(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.came6:
	}
	var conn dhcpsrv.Conn
	open := func(context.Context) (err error) {
		conn, err = listenDHCP6(r.cfg.Interfaces)
		return err
	}
	r.supervise(ctx, task{Task: supervise.Task{Name: "dhcpv6", Open: open, Run: func(ctx context.Context) error {
		if conn == nil {
			if err := open(ctx); err != nil {
				return err
			}
		}
		serving := conn
		conn = nil
		return r.dhcp.Serve6(ctx, serving)
	}}})
	return nil
}

// listenDHCP6 opens the DHCPv6 socket on the interfaces, which may disappear and return.
func listenDHCP6(interfaces []string) (dhcpsrv.Conn, error) {
	conn, err := dhcplink.Listen6(dhcplink.ListenConfig{Interfaces: interfaces, Absent: true})
	if err != nil {
		return nil, ExplainPort(err, "DHCPv6", "udp", port6)
	}
	return conn, nil
}

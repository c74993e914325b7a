package rack

import (
	"context"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
)

// dhcp6Tasks returns the task that serves DHCPv6: at once if there is a socket, else after the
// first IPv6 address of the rack.
func (r *Rack) dhcp6Tasks(s Sockets) []task {
	switch {
	case s.DHCP6 != nil:
		return []task{{name: "dhcpv6", run: func(ctx context.Context) error { return r.dhcp.Serve6(ctx, s.DHCP6) }}}
	case r.cfg.Ports.DHCP != 0 && len(r.cfg.Interfaces) > 0:
		return []task{{name: "dhcpv6 to come", run: r.serve6Later}}
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
	insist(ctx, func(ctx context.Context) error {
		conn, err := listenDHCP6(r.cfg.Interfaces)
		if err != nil {
			r.health.fail("dhcpv6", err)
			return err
		}
		end := r.health.begin("dhcpv6")
		err = r.dhcp.Serve6(ctx, conn)
		end(err)
		return err
	}, func(err error, pause time.Duration) {
		r.log.Warn("DHCPv6 not served, trying again", "retry_in", pause, "err", err)
	})
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

// insist calls serve until ctx ends. After an error it calls failed with the error and the pause,
// waits for the pause and tries again.
func insist(ctx context.Context, serve func(context.Context) error, failed func(err error, pause time.Duration)) {
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, time.Minute) {
		err := serve(ctx)
		if ctx.Err() != nil {
			return
		}
		failed(err, pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

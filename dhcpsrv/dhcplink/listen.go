package dhcplink

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
)

// Ports of DHCP (RFC 2131 section 4.1, RFC 8415 section 7.2).
const (
	serverPort  = 67
	clientPort  = 68
	serverPort6 = 547
	clientPort6 = 546
)

// ListenConfig holds the interfaces and the port to listen on.
type ListenConfig struct {
	// Interfaces to serve, by name; at least one. They must exist, but may be down and may lose and
	// change addresses. An interface that is removed and created again under its name is found
	// again.
	Interfaces []string
	// Absent accepts interfaces that do not exist yet, such as a VLAN interface that is created
	// later. Each is served within a second after it appears, and the others are served meanwhile.
	Absent bool
	// Port; 0 = 67, which needs CAP_NET_BIND_SERVICE. With another port, clients are expected on
	// the one above it and relay agents on the same: for tests without root.
	Port int
}

// ErrPortBusy says that another DHCP server, or another program, already has the port on this host.
var ErrPortBusy = errors.New("port is taken by another program on this host (another DHCP server?)")

// Listen opens the DHCP server port on the interfaces of cfg: one UDP socket, and a packet socket
// for each interface, which needs CAP_NET_RAW. A taken port is an error that wraps [ErrPortBusy].
// Only Linux is supported.
func Listen(cfg ListenConfig) (dhcpsrv.Conn, error) {
	if cfg.Port == 0 {
		cfg.Port = serverPort
	}
	if len(cfg.Interfaces) == 0 {
		return nil, errors.New("dhcplink: listen: no interface given")
	}
	if cfg.Port < 1 || cfg.Port > 65534 {
		return nil, fmt.Errorf("dhcplink: listen: port %d is not between 1 and 65534", cfg.Port)
	}
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	c, err := listen(cfg, false)
	if err != nil {
		return nil, fmt.Errorf("dhcplink: listen on port %d: %w", cfg.Port, err)
	}
	return c, nil
}

// ListenBoot opens [dhcpsrv.BootServerPort], where firmware asks a proxyDHCP server again, on the
// interfaces of cfg. Port 0 = dhcpsrv.BootServerPort. A taken port is an error that wraps
// [ErrPortBusy]. Only Linux is supported.
func ListenBoot(cfg ListenConfig) (dhcpsrv.Conn, error) {
	if cfg.Port == 0 {
		cfg.Port = dhcpsrv.BootServerPort
	}
	if len(cfg.Interfaces) == 0 {
		return nil, errors.New("dhcplink: listen for boot servers' requests: no interface given")
	}
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	c, err := listen(cfg, true)
	if err != nil {
		return nil, fmt.Errorf("dhcplink: listen on port %d: %w", cfg.Port, err)
	}
	return c, nil
}

// Listen6 opens the DHCPv6 server port on the interfaces of cfg and joins the group of servers
// there. Port 0 = 547; with another port, clients are expected on the port below it. A recreated
// interface is joined within a second. A taken port is an error that wraps [ErrPortBusy]. Only
// Linux is supported.
func Listen6(cfg ListenConfig) (dhcpsrv.Conn, error) {
	if cfg.Port == 0 {
		cfg.Port = serverPort6
	}
	if len(cfg.Interfaces) == 0 {
		return nil, errors.New("dhcplink: listen for DHCPv6: no interface given")
	}
	if cfg.Port < 2 || cfg.Port > 65535 {
		return nil, fmt.Errorf("dhcplink: listen for DHCPv6: port %d is not between 2 and 65535", cfg.Port)
	}
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	c, err := listen6(cfg)
	if err != nil {
		return nil, fmt.Errorf("dhcplink: listen for DHCPv6 on port %d: %w", cfg.Port, err)
	}
	return c, nil
}

// ListenAdvertise opens a raw socket for router advertisements on the interfaces of cfg, which
// needs CAP_NET_RAW; the port is ignored. Only Linux is supported.
func ListenAdvertise(cfg ListenConfig) (radv.Conn, error) {
	if len(cfg.Interfaces) == 0 {
		return nil, errors.New("dhcplink: listen for router solicitations: no interface given")
	}
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	c, err := listenAdvertise(cfg)
	if err != nil {
		return nil, fmt.Errorf("dhcplink: listen for router solicitations: %w", err)
	}
	return c, nil
}

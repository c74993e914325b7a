package wol

import (
	"bytes"
	"context"
	"net"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
)

// Name is the power type's name.
const Name = "wol"

const (
	paramMAC      = "mac_address"
	paramAddress  = "power_address"
	paramPassword = "power_pass"
)

// port is the discard service's, on which no program listens: the network card reads the frame.
const port = "9"

// copies is the number of packets: none is acknowledged, and a lost one is not noticed.
const copies = 3

// Kind declares the power type "wol".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "Wake-on-LAN",
		Params: []power.Param{
			{Name: paramMAC, Label: "MAC address of the machine", Required: true, Scope: power.ScopeNode},
			{Name: paramAddress, Label: "Broadcast address of its network", Default: "255.255.255.255", Scope: power.ScopeNode},
			{Name: paramPassword, Label: "SecureOn password, as six octets", Secret: true, Scope: power.ScopeNode},
		},
		Open: open, Blind: true,
		Identity: func(p power.Params) string { return p[paramMAC] },
	}
}

type driver struct {
	address string
	packet  []byte
}

func open(_ context.Context, p power.Params) (power.Driver, error) {
	const op = "settings"
	mac, err := net.ParseMAC(p[paramMAC])
	if err != nil || len(mac) != 6 {
		return nil, power.Errorf(power.Settings, op, "%s: %q is not six octets", paramMAC, p[paramMAC])
	}
	var password net.HardwareAddr
	if p[paramPassword] != "" {
		if password, err = net.ParseMAC(p[paramPassword]); err != nil || len(password) != 6 {
			return nil, power.Errorf(power.Settings, op, "%s is not six octets, such as 00:11:22:33:44:55", paramPassword)
		}
	}
	at, err := address.ParseHost(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	return &driver{at.HostPort(port), Packet(mac, password)}, nil
}

// Packet returns the magic packet for a link address: six octets of ones, the address 16 times, and
// the SecureOn password if there is one.
func Packet(mac, password net.HardwareAddr) []byte {
	b := append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)
	return append(b, password...)
}

// PowerState implements power.Driver: it cannot be asked.
func (*driver) PowerState(context.Context) (power.State, error) { return power.Unknown, nil }

// SetPower implements power.Driver. It sends the packet three times within half a second.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	op := "set power " + string(target)
	if target != power.On {
		return power.Errorf(power.Unsupported, op, "Wake-on-LAN can only switch on")
	}
	// The standard library lets UDP sockets broadcast.
	conn, err := new(net.Dialer).DialContext(ctx, "udp", d.address)
	if err != nil {
		return power.Errorf(power.Connection, op, "%w", err)
	}
	defer conn.Close()
	for i := range copies {
		if i > 0 {
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
				return power.Errorf(power.Connection, op, "%w", ctx.Err())
			}
		}
		if _, err := conn.Write(d.packet); err != nil && i == 0 {
			return power.Errorf(power.Connection, op, "%w", err)
		}
	}
	return nil
}

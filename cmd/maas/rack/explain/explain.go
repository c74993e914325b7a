// Package explain carries questions of a region to its racks: what would a rack answer to this
// machine, and why. The serving code itself gives the answers, and nothing changes by asking.
//
//	explain.Offer(&methods, rack.Explain)                                            // rack
//	answer, err := explain.Ask(ctx, region.Rack("rack-1"), explain.Query{MAC: mac})  // region
package explain

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc"
)

const method = "explain"

// Query is a question. The answer covers each part that is set.
type Query struct {
	// MAC is the machine whose DHCP is explained. If empty, DHCP is not explained.
	MAC string `json:"mac,omitempty"`
	// Arch is the architecture type that the machine's firmware sends. If nil, the machine runs an
	// operating system and does not boot from the network.
	Arch *firmware.Arch `json:"arch,omitempty"`
	// IPv6 asks by DHCPv6.
	IPv6 bool `json:"ipv6,omitempty"`
	// Subnets limits the networks in which the machine may be. If empty, each network of the rack
	// is tried.
	Subnets []netip.Prefix `json:"subnets,omitempty"`
	// Boot asks for the machine's boot as well.
	Boot bool `json:"boot,omitempty"`
	// Addr is an address whose lease is looked up. The zero Addr looks up none.
	Addr netip.Addr `json:"addr,omitzero"`
}

// Answer is the answer of one rack.
type Answer struct {
	DHCP  []DHCP `json:"dhcp,omitempty"`
	Boot  *Boot  `json:"boot,omitempty"`
	Lease *Lease `json:"lease,omitempty"`
}

// DHCP is the answer to a machine on one network, and the reasons.
type DHCP struct {
	Link    string   `json:"link,omitempty"`  // interface on which the machine is heard
	Relay   string   `json:"relay,omitempty"` // or the relay in front of the machine
	Message string   `json:"message"`         // type of the message that is answered, such as DISCOVER
	Reply   string   `json:"reply,omitempty"` // if empty, the server is silent
	Reason  string   `json:"reason,omitempty"`
	Steps   []string `json:"steps"`

	Segment     string        `json:"segment,omitempty"`
	Subnet      string        `json:"subnet,omitempty"`
	Pool        string        `json:"pool,omitempty"`
	Reservation string        `json:"reservation,omitempty"`
	Mode        string        `json:"mode,omitempty"`
	ModeBy      string        `json:"mode_by,omitempty"`
	Addr        netip.Addr    `json:"addr,omitzero"`
	AddrBy      string        `json:"addr_by,omitempty"`
	Lease       time.Duration `json:"lease,omitempty"` // in nanoseconds
	Probe       bool          `json:"probe"`           // the server would probe the address first
	NextServer  netip.Addr    `json:"next_server,omitzero"`
	BootFile    string        `json:"boot_file,omitempty"`
	Options     []Option      `json:"options,omitempty"`
}

// Option is an option of the reply.
type Option struct {
	Code  uint16 `json:"code"`
	Value string `json:"value"` // readable if the option is known, else hexadecimal
}

// Boot is the boot of a machine.
type Boot struct {
	Known    bool              `json:"known"`          // the region knows its MAC
	Own      bool              `json:"own"`            // the profile belongs to the machine or one of its tags
	Addr     netip.Addr        `json:"addr,omitzero"`  // the address with which it would boot
	Rule     string            `json:"rule,omitempty"` // the rule that selects the profile, such as "tag lab"; the region fills it in
	Profile  *pxe.Profile      `json:"profile,omitempty"`
	Method   string            `json:"method,omitempty"` // boot method of its firmware
	Loader   string            `json:"loader,omitempty"` // the first file of the boot
	Language firmware.Language `json:"language,omitempty"`
	Script   string            `json:"script,omitempty"`
	Error    string            `json:"error,omitempty"` // why no profile or no script exists
}

// Lease is the entry of a rack's DHCP server for an address.
type Lease struct {
	MAC      string    `json:"mac,omitempty"`
	Hostname string    `json:"hostname,omitempty"`
	State    string    `json:"state"`
	Subnet   string    `json:"subnet,omitempty"`
	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
}

// Offer registers the method that regions call.
func Offer(m *rpc.Methods, answer func(context.Context, Query) (Answer, error)) {
	rpc.Offer(m, method, answer)
}

// Ask sends the query to a rack and returns its answer.
func Ask(ctx context.Context, rack rpc.Caller, q Query) (Answer, error) {
	return rpc.Do[Answer](ctx, rack, method, q)
}

// HardwareAddr returns the query's MAC, or nil if it has none.
func (q Query) HardwareAddr() (net.HardwareAddr, error) {
	if q.MAC == "" {
		return nil, nil
	}
	return firmware.ParseMAC(q.MAC)
}

// Package explain is how a region asks its racks what they would answer to a machine, and why. The answers come from the code
// that serves; nothing changes by asking.
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
	"github.com/gomaas/maas/rpc"
)

const method = "explain"

// Query is what to explain. Each part that is set is answered.
type Query struct {
	// MAC is the machine whose DHCP is explained; empty = none.
	MAC string `json:"mac,omitempty"`
	// Arch is what firmware it says to be; nil = it is an operating system that does not boot.
	Arch *pxe.Arch `json:"arch,omitempty"`
	// IPv6 asks by DHCPv6.
	IPv6 bool `json:"ipv6,omitempty"`
	// Subnets limits where the machine is; none = each network of the rack is tried.
	Subnets []netip.Prefix `json:"subnets,omitempty"`
	// Boot asks what the machine would boot, too.
	Boot bool `json:"boot,omitempty"`
	// Addr is an address whose lease is looked up; invalid = none.
	Addr netip.Addr `json:"addr,omitzero"`
}

// Answer is what a rack says.
type Answer struct {
	DHCP  []DHCP `json:"dhcp,omitempty"`
	Boot  *Boot  `json:"boot,omitempty"`
	Lease *Lease `json:"lease,omitempty"`
}

// DHCP is what a machine would be answered on one network, and why.
type DHCP struct {
	Link    string   `json:"link,omitempty"`  // interface it is heard on
	Relay   string   `json:"relay,omitempty"` // or the relay that it is behind
	Message string   `json:"message"`         // that is answered, such as DISCOVER
	Reply   string   `json:"reply,omitempty"` // empty = silence
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
	Probe       bool          `json:"probe"`           // the address would be probed before
	NextServer  netip.Addr    `json:"next_server,omitzero"`
	BootFile    string        `json:"boot_file,omitempty"`
	Options     []Option      `json:"options,omitempty"`
}

// Option is an option of the reply.
type Option struct {
	Code  uint16 `json:"code"`
	Value string `json:"value"` // readable where that can be, else hexadecimal
}

// Boot is what a machine would boot.
type Boot struct {
	Known    bool         `json:"known"`          // by its MAC
	Own      bool         `json:"own"`            // the profile is its own, or that of its tags
	Addr     netip.Addr   `json:"addr,omitzero"`  // the address that it would boot with
	Rule     string       `json:"rule,omitempty"` // which of the site's profiles it is, such as "tag lab"; the region says so
	Profile  *pxe.Profile `json:"profile,omitempty"`
	Method   string       `json:"method,omitempty"` // how its firmware boots
	Loader   string       `json:"loader,omitempty"` // what it is told to fetch first
	Language pxe.Language `json:"language,omitempty"`
	Script   string       `json:"script,omitempty"`
	Error    string       `json:"error,omitempty"` // why there is no profile or no script
}

// Lease is what a rack's DHCP server knows of an address.
type Lease struct {
	MAC      string    `json:"mac,omitempty"`
	Hostname string    `json:"hostname,omitempty"`
	State    string    `json:"state"`
	Subnet   string    `json:"subnet,omitempty"`
	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
}

// Offer lets regions ask.
func Offer(m *rpc.Methods, answer func(context.Context, Query) (Answer, error)) {
	rpc.Offer(m, method, answer)
}

// Ask asks a rack.
func Ask(ctx context.Context, rack rpc.Caller, q Query) (Answer, error) {
	return rpc.Do[Answer](ctx, rack, method, q)
}

// HardwareAddr is the query's MAC, nil when it has none.
func (q Query) HardwareAddr() (net.HardwareAddr, error) {
	if q.MAC == "" {
		return nil, nil
	}
	return pxe.ParseMAC(q.MAC)
}

// Package discoveryrpc carries what a rack saw on its links to the region.
//
//	outbox.Add(discoveryrpc.FactKind, discoveryrpc.FactOf(event))                       // rack
//	err := json.Unmarshal(fact.Data, &seen) // a discoveryrpc.Fact, where fact.Kind is FactKind // region
package discoveryrpc

import (
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/discovery"
)

// FactKind is the kind of facts that hold a [Fact]. They are observations: a full outbox drops them first.
const FactKind = "observation"

// Fact is an observation on its way to the region.
type Fact struct {
	// Event is the kind of event: new, refreshed or moved.
	Event     discovery.Kind `json:"event"`
	Interface string         `json:"interface"`
	VID       int            `json:"vid,omitempty"`
	Addr      netip.Addr     `json:"addr"`
	MAC       string         `json:"mac"`
	First     time.Time      `json:"first"`
	Last      time.Time      `json:"last"`
}

// FactOf turns an event into what travels.
func FactOf(e discovery.Event) Fact {
	o := e.Observation
	return Fact{
		Event: e.Kind, Interface: o.Interface, VID: int(o.VID), Addr: o.Addr, MAC: o.MAC.String(), First: o.First, Last: o.Last,
	}
}

// HardwareAddr is the device's link address, nil when the fact has none.
func (f Fact) HardwareAddr() net.HardwareAddr {
	mac, err := net.ParseMAC(f.MAC)
	if err != nil {
		return nil
	}
	return mac
}

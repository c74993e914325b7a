// Package register carries what a rack and its region exchange besides state and facts: the rack
// its interfaces and its health, the region the addresses of all regions.
//
//	_, err := rpc.Do[register.Answer](ctx, conn, register.Method, register.Request{Links: links}) // rack
//	objects, err := register.Objects(regions, revoked)                                           // region
package register

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/ipam"
)

// Method is the region's method that takes a [Request]. A rack calls it in each session.
const Method = "rack.register"

// Request describes a rack to its region.
type Request struct {
	// Version is the version of the rack's program.
	Version string `json:"version,omitempty"`
	// Links are the rack's interfaces that have addresses.
	Links []Link `json:"links"`
	// Gateways are the default routers in the rack's networks.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// First and Last bound the dynamic range of a network that is new to the site. Both may be the
	// zero Addr; the region then chooses.
	First netip.Addr `json:"first,omitzero"`
	Last  netip.Addr `json:"last,omitzero"`
	// NoDHCP leaves DHCP off on a network that is new to the site.
	NoDHCP bool `json:"no_dhcp,omitempty"`
	// Mode is the DHCP mode of such a network.
	Mode ipam.DHCPMode `json:"mode,omitempty"`
}

// A Link is a network interface of a rack.
type Link struct {
	Name  string         `json:"name"`
	MAC   string         `json:"mac,omitempty"`
	Addrs []netip.Prefix `json:"addrs"`
	// Serve is set if the rack serves machines there.
	Serve bool `json:"serve,omitempty"`
}

// HealthMethod is the region's method that takes an inventory.RackReport. A rack calls it in its
// session with one region, every [ReportEvery] and when the state of a server changes. If a region
// does not know the method, the rack does not call it again in that session.
const HealthMethod = "rack.health"

// ReportEvery is the interval of health reports without a change.
const ReportEvery = 20 * time.Second

// Answer is the region's answer to a Request.
type Answer struct {
	// Waiting are the networks that the rack was not given. An administrator accepts them.
	Waiting []Waiting `json:"waiting,omitempty"`
}

// Waiting is a network on a link of the rack that waits for an administrator.
type Waiting struct {
	Link    string       `json:"link"`
	Network netip.Prefix `json:"network"`
}

// Topic is the topic of the regions' addresses.
const Topic = "regions"

// Objects of the topic. Racks that predate the names of regions read the addresses alone.
const (
	addressesKey = "addresses"
	regionsKey   = "regions"
	revokedKey   = "revoked"
)

// A Region is the addresses of one region of the site.
type Region struct {
	// Name is the region's name. If empty, it is unknown and the addresses may belong to several
	// regions.
	Name string `json:"name"`
	// Addresses are host:port.
	Addresses []string `json:"addresses"`
}

// Objects returns the content of the topic for one rack: the regions assigned to it, best first,
// and the serial numbers of revoked certificates that have not expired yet.
func Objects(regions []Region, revoked []string) (map[string][]byte, error) {
	if regions == nil {
		regions = []Region{}
	}
	named, err := json.Marshal(regions)
	if err != nil {
		return nil, err
	}
	addresses := Flat(regions)
	slices.Sort(addresses)
	flat, err := json.Marshal(addresses)
	if err != nil {
		return nil, err
	}
	objects := map[string][]byte{addressesKey: flat, regionsKey: named}
	if len(revoked) > 0 {
		objects[revokedKey], err = json.Marshal(revoked)
	}
	return objects, err
}

// Revoked returns the serial numbers among the objects. A region that predates revocation sends
// none.
func Revoked(objects map[string][]byte) (serials []string, err error) {
	if text, there := objects[revokedKey]; there {
		if err := json.Unmarshal(text, &serials); err != nil {
			return nil, fmt.Errorf("revoked certificates: %w", err)
		}
	}
	return serials, nil
}

// Regions is the inverse of Objects. If the objects name no regions, all addresses form one Region
// without a name.
func Regions(objects map[string][]byte) (regions []Region, err error) {
	if text, named := objects[regionsKey]; named {
		if err := json.Unmarshal(text, &regions); err != nil {
			return nil, fmt.Errorf("regions: %w", err)
		}
		return regions, nil
	}
	var addresses []string
	if err := json.Unmarshal(objects[addressesKey], &addresses); err != nil {
		return nil, fmt.Errorf("regions: %w", err)
	}
	if len(addresses) == 0 {
		return nil, nil
	}
	return []Region{{Addresses: addresses}}, nil
}

// Flat returns the addresses of the regions in order, each once.
func Flat(regions []Region) []string {
	out := []string{}
	for _, r := range regions {
		for _, a := range r.Addresses {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

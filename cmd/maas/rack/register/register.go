// Package register is what a rack and its region tell each other beside state and facts: the rack what it is and how it
// does, the region where all regions are.
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

// Request is what a rack tells of itself.
type Request struct {
	// Version is that of its program.
	Version string `json:"version,omitempty"`
	// Links are its interfaces with addresses.
	Links []Link `json:"links"`
	// Gateways are the default routers in its networks.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// First and Last bound the dynamic range of a network that is new to the site. Both may be invalid.
	First netip.Addr `json:"first,omitzero"`
	Last  netip.Addr `json:"last,omitzero"`
	// NoDHCP leaves DHCP off on a network that is new to the site.
	NoDHCP bool `json:"no_dhcp,omitempty"`
	// Mode says who gives addresses there.
	Mode ipam.DHCPMode `json:"mode,omitempty"`
}

// A Link is a network interface of a rack.
type Link struct {
	Name  string         `json:"name"`
	MAC   string         `json:"mac,omitempty"`
	Addrs []netip.Prefix `json:"addrs"`
	// Serve says that machines are served there.
	Serve bool `json:"serve,omitempty"`
}

// HealthMethod is the region's method that takes an inventory.RackReport. A rack calls it in its session with one region, and
// when something about its servers changes. A region that does not know it is not asked again in that session.
const HealthMethod = "rack.health"

// ReportEvery is how often a rack says how it does.
const ReportEvery = 20 * time.Second

// Answer is what the region says to a Request.
type Answer struct{}

// Topic is the state that says where the regions are.
const Topic = "regions"

// Objects of the topic. A rack that knows no names of regions reads addresses alone.
const (
	addressesKey = "addresses"
	regionsKey   = "regions"
	revokedKey   = "revoked"
)

// A Region is where racks reach one region of the site.
type Region struct {
	// Name is that of the region, empty when it is not known: the addresses may be those of several then.
	Name string `json:"name"`
	// Addresses are host:port.
	Addresses []string `json:"addresses"`
}

// Objects is the content of the topic for a rack to which these regions are assigned, the best first, with the serial numbers
// of certificates that no rack may use any more, though their time has not come.
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

// Revoked are the serial numbers among the objects; none of a region that tells none.
func Revoked(objects map[string][]byte) (serials []string, err error) {
	if text, there := objects[revokedKey]; there {
		if err := json.Unmarshal(text, &serials); err != nil {
			return nil, fmt.Errorf("revoked certificates: %w", err)
		}
	}
	return serials, nil
}

// Regions is the inverse of Objects. Of a region that does not name them, all addresses are one Region without a name.
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

// Flat lists the addresses of regions, each once, in order.
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

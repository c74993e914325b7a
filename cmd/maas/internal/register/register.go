// Package register is what a rack and its region tell each other beside state and facts: the rack what it is, the region
// where all regions are.
package register

import (
	"encoding/json"
	"fmt"
	"net/netip"

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

// Answer is what the region says to a Request.
type Answer struct{}

// Topic is the state that says where the regions are.
const Topic = "regions"

// addressesKey is the object of the topic that lists addresses.
const addressesKey = "addresses"

// Objects is the content of the topic for these addresses, host:port.
func Objects(addresses []string) (map[string][]byte, error) {
	if addresses == nil {
		addresses = []string{}
	}
	text, err := json.Marshal(addresses)
	return map[string][]byte{addressesKey: text}, err
}

// Addresses is the inverse of Objects.
func Addresses(objects map[string][]byte) (addresses []string, err error) {
	if err := json.Unmarshal(objects[addressesKey], &addresses); err != nil {
		return nil, fmt.Errorf("regions: %w", err)
	}
	return addresses, nil
}

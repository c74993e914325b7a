// Package dhcprpc carries what a DHCP server serves from a region to a rack, and what it leased back.
//
// A [dhcpsrv.Snapshot] becomes one object per subnet, reservation and advertisement, so that a change to one of them costs one object
// on the wire and on the rack's disk:
//
//	objects, err := dhcprpc.Objects(snapshot)                  // region
//	region.State("rack-1").Set(dhcprpc.Topic, objects)
//
//	rpc.Topic{Name: dhcprpc.Topic, Apply: dhcprpc.Apply(server)} // rack
//
// Lease events travel as [Fact] under [FactKind].
package dhcprpc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
)

// Topic is the rpc topic of snapshots.
const Topic = "dhcp"

// FactKind is the kind of lease facts.
const FactKind = "lease"

const (
	subnetPrefix      = "subnet/"
	reservationPrefix = "reservation/"
	advertPrefix      = "advertisement/"
	siteKey           = "site"
	site6Key          = "site6"
)

// Objects returns the snapshot as keyed objects.
func Objects(s dhcpsrv.Snapshot) (map[string][]byte, error) {
	objects := map[string][]byte{}
	put := func(key string, value any) error {
		if _, twice := objects[key]; twice {
			return fmt.Errorf("dhcprpc: %s is there twice", key)
		}
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("dhcprpc: %s: %w", key, err)
		}
		objects[key] = data
		return nil
	}
	if err := put(siteKey, s.Options); err != nil {
		return nil, err
	}
	if len(s.Options6) > 0 {
		if err := put(site6Key, s.Options6); err != nil {
			return nil, err
		}
	}
	for _, subnet := range s.Subnets {
		if err := put(subnetPrefix+subnet.Name, subnet); err != nil {
			return nil, err
		}
	}
	for _, a := range s.Advertisements {
		if err := put(advertPrefix+a.Link, a); err != nil {
			return nil, err
		}
	}
	for _, r := range s.Reservations {
		key := fmt.Sprintf("%s%s/%x/%s/%s", reservationPrefix, r.MAC, r.ClientID, r.Subnet, addrText(r.Addr))
		if len(r.DUID) > 0 {
			key += fmt.Sprintf("/%x", r.DUID)
		}
		if err := put(key, r); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// Snapshot puts the objects together again, in the order of their keys.
func Snapshot(objects map[string][]byte) (dhcpsrv.Snapshot, error) {
	var s dhcpsrv.Snapshot
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		var err error
		switch {
		case key == siteKey:
			err = json.Unmarshal(objects[key], &s.Options)
		case key == site6Key:
			err = json.Unmarshal(objects[key], &s.Options6)
		case strings.HasPrefix(key, subnetPrefix):
			err = appendDecoded(&s.Subnets, objects[key])
		case strings.HasPrefix(key, advertPrefix):
			err = appendDecoded(&s.Advertisements, objects[key])
		case strings.HasPrefix(key, reservationPrefix):
			err = appendDecoded(&s.Reservations, objects[key])
		}
		if err != nil {
			return dhcpsrv.Snapshot{}, fmt.Errorf("dhcprpc: %s: %w", key, err)
		}
	}
	return s, nil
}

func appendDecoded[T any](list *[]T, data []byte) error {
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	*list = append(*list, value)
	return nil
}

// Apply makes the server serve each state of the topic.
func Apply(server *dhcpsrv.Server) func(context.Context, map[string][]byte) error {
	return func(_ context.Context, objects map[string][]byte) error {
		s, err := Snapshot(objects)
		if err != nil {
			return err
		}
		return server.Update(s)
	}
}

// A Fact is a lease event on its way to the region.
type Fact struct {
	// Event is the kind of event as its String says: granted, renewed, expired, released, declined or conflict.
	Event    string     `json:"event"`
	Addr     netip.Addr `json:"addr"`
	MAC      string     `json:"mac,omitempty"`
	Hostname string     `json:"hostname,omitempty"`
	Subnet   string     `json:"subnet,omitempty"`
	Start    time.Time  `json:"start"`
	End      time.Time  `json:"end"`
}

// FactOf turns an event into what travels.
func FactOf(e dhcpsrv.Event) Fact {
	return Fact{
		Event: e.Kind.String(), Addr: e.Lease.Addr, MAC: e.Lease.MAC.String(), Hostname: e.Lease.Hostname,
		Subnet: e.Lease.Subnet, Start: e.Lease.Start, End: e.Lease.End,
	}
}

// Holds reports whether the client holds the address after the event.
func (f Fact) Holds() bool {
	return f.Event == dhcpsrv.Granted.String() || f.Event == dhcpsrv.Renewed.String()
}

// HardwareAddr is the client's link address, nil when it has none.
func (f Fact) HardwareAddr() net.HardwareAddr {
	mac, err := net.ParseMAC(f.MAC)
	if err != nil {
		return nil
	}
	return mac
}

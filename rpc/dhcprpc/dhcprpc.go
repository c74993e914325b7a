// Package dhcprpc carries what a DHCP server serves from a region to a rack, and what it leased
// back.
//
// A [dhcpsrv.Snapshot] becomes one object per subnet, reservation, advertisement and partner, so
// that a change to one of them costs one object on the wire and on the rack's disk:
//
//	objects, err := dhcprpc.Objects(snapshot, advertisements)                  // region
//	region.State("rack-1").Set(dhcprpc.Topic, objects)
//
//	follower := dhcprpc.Follow(func(_ context.Context, s dhcpsrv.Snapshot, ads []radv.Advertisement) error {
//		return errors.Join(server.Update(s), advertiser.Update(ads))
//	})
//	rpc.Topic{Name: dhcprpc.Topic, Apply: follower.Apply, Change: follower.Change} // rack
//
// Lease events travel as [Fact] under [FactKind].
package dhcprpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/rpc"
)

// Topic is the rpc topic of snapshots.
const Topic = "dhcp"

// FactKind is the kind of lease facts.
const FactKind = "lease"

const (
	subnetPrefix      = "subnet/"
	reservationPrefix = "reservation/"
	advertPrefix      = "advertisement/"
	partnerPrefix     = "partner/"
	siteKey           = "site"
	site6Key          = "site6"
	classesKey        = "classes" // one object, since their order counts
)

// Objects returns the snapshot and the router advertisements as keyed objects.
func Objects(s dhcpsrv.Snapshot, ads []radv.Advertisement) (map[string][]byte, error) {
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
	if len(s.Classes) > 0 {
		if err := put(classesKey, s.Classes); err != nil {
			return nil, err
		}
	}
	for _, subnet := range s.Subnets {
		if err := put(subnetPrefix+subnet.Name, subnet); err != nil {
			return nil, err
		}
	}
	for _, a := range ads {
		if err := put(advertPrefix+a.Link, a); err != nil {
			return nil, err
		}
	}
	for _, p := range s.Partners {
		if err := put(partnerPrefix+p.Name, p); err != nil {
			return nil, err
		}
	}
	for _, r := range s.Reservations {
		if err := put(reservationKey(r), r); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

func reservationKey(r dhcpsrv.Reservation) string {
	key := fmt.Sprintf("%s%s/%x/%s/%s", reservationPrefix, r.MAC, r.ClientID, r.Subnet, addrText(r.Addr))
	if len(r.DUID) > 0 {
		key += fmt.Sprintf("/%x", r.DUID)
	}
	if r.VRF != "" {
		key += "@" + r.VRF
	}
	return key
}

// ReservationObjects is the change of the topic when some reservations become others.
func ReservationObjects(before, after []dhcpsrv.Reservation) (upserts map[string][]byte, deletes []string, err error) {
	return rpc.Difference(before, after, reservationKey)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// Snapshot puts the objects together again, in the order of their keys.
func Snapshot(objects map[string][]byte) (dhcpsrv.Snapshot, []radv.Advertisement, error) {
	var f Follower
	err := f.decode(objects)
	s, ads := f.snapshot()
	return s, ads, err
}

// A Follower puts snapshots together from the topic, decoding only what changed. It is not for
// concurrent use.
type Follower struct {
	update  func(context.Context, dhcpsrv.Snapshot, []radv.Advertisement) error
	server  Reserver // nil = every change is a whole snapshot
	sound   bool     // the last update was accepted
	keys    []string // sorted
	decoded []any    // the objects of the keys
}

// Follow returns a follower that hands each snapshot to update, which makes a server serve it.
func Follow(update func(context.Context, dhcpsrv.Snapshot, []radv.Advertisement) error) *Follower {
	return &Follower{update: update}
}

// A Reserver changes single reservations. A dhcpsrv.Server is one.
type Reserver interface {
	ChangeReservations(remove, add []dhcpsrv.Reservation) error
}

// ReserveIn makes the follower hand changes of reservations alone to s, in place of a whole
// snapshot: one machine of 100,000 then costs microseconds. What s refuses is tried as a whole
// snapshot.
func (f *Follower) ReserveIn(s Reserver) *Follower {
	f.server = s
	return f
}

// maxSingly bounds the reservations that are changed one by one, since packets wait meanwhile.
const maxSingly = 500

// Apply serves the objects, which are the whole topic.
func (f *Follower) Apply(ctx context.Context, objects map[string][]byte) error {
	if err := f.decode(objects); err != nil {
		return err
	}
	return f.serve(ctx)
}

func (f *Follower) serve(ctx context.Context) error {
	s, ads := f.snapshot()
	err := f.update(ctx, s, ads)
	f.sound = err == nil
	return err
}

// Change serves the last snapshot with some objects changed.
func (f *Follower) Change(ctx context.Context, changed []rpc.Object) error {
	values := make([]any, len(changed))
	for i, o := range changed {
		if o.Deleted {
			continue
		}
		var err error
		if values[i], err = decode(o.Key, o.Value); err != nil {
			return err
		}
	}
	singly := f.server != nil && f.sound && len(changed) <= maxSingly
	var remove, add []dhcpsrv.Reservation
	for i, o := range changed {
		singly = singly && strings.HasPrefix(o.Key, reservationPrefix)
		if r, ok := values[i].(dhcpsrv.Reservation); ok {
			add = append(add, r)
		}
		at, there := slices.BinarySearch(f.keys, o.Key)
		switch {
		case o.Deleted && there:
			if r, ok := f.decoded[at].(dhcpsrv.Reservation); ok {
				remove = append(remove, r)
			}
			f.keys, f.decoded = slices.Delete(f.keys, at, at+1), slices.Delete(f.decoded, at, at+1)
		case !o.Deleted && there:
			f.decoded[at] = values[i]
		case !o.Deleted:
			f.keys, f.decoded = slices.Insert(f.keys, at, o.Key), slices.Insert(f.decoded, at, values[i])
		}
	}
	if singly && f.server.ChangeReservations(remove, add) == nil {
		return nil
	}
	return f.serve(ctx)
}

func (f *Follower) decode(objects map[string][]byte) error {
	f.keys, f.decoded = slices.Sorted(maps.Keys(objects)), make([]any, len(objects))
	for i, key := range f.keys {
		var err error
		if f.decoded[i], err = decode(key, objects[key]); err != nil {
			return err
		}
	}
	return nil
}

// decode reads one object; one of a kind that is not known is nil.
func decode(key string, data []byte) (any, error) {
	switch {
	case key == siteKey, key == site6Key:
		return decodeAs[dhcpsrv.Options](key, data)
	case key == classesKey:
		return decodeAs[[]dhcpsrv.Class](key, data)
	case strings.HasPrefix(key, subnetPrefix):
		return decodeAs[dhcpsrv.Subnet](key, data)
	case strings.HasPrefix(key, advertPrefix):
		return decodeAs[radv.Advertisement](key, data)
	case strings.HasPrefix(key, partnerPrefix):
		return decodeAs[failover.Partner](key, data)
	case strings.HasPrefix(key, reservationPrefix):
		return decodeAs[dhcpsrv.Reservation](key, data)
	}
	return nil, nil
}

func decodeAs[T any](key string, data []byte) (any, error) {
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, fmt.Errorf("dhcprpc: %s: %w", key, err)
	}
	return value, nil
}

func (f *Follower) snapshot() (s dhcpsrv.Snapshot, ads []radv.Advertisement) {
	s.Reservations = slices.Grow(s.Reservations, len(f.decoded))
	for i, value := range f.decoded {
		switch value := value.(type) {
		case dhcpsrv.Options:
			if f.keys[i] == site6Key {
				s.Options6 = value
			} else {
				s.Options = value
			}
		case []dhcpsrv.Class:
			s.Classes = value
		case dhcpsrv.Subnet:
			s.Subnets = append(s.Subnets, value)
		case radv.Advertisement:
			ads = append(ads, value)
		case failover.Partner:
			s.Partners = append(s.Partners, value)
		case dhcpsrv.Reservation:
			s.Reservations = append(s.Reservations, value)
		}
	}
	return s, ads
}

// A Fact is a lease event on its way to the region.
type Fact struct {
	// Event is the kind of event as its String says: granted, renewed, expired, released, declined
	// or conflict.
	Event    string     `json:"event"`
	Addr     netip.Addr `json:"addr"`
	VRF      string     `json:"vrf,omitempty"`  // routing domain of Addr; "" = the global one
	Bits     int        `json:"bits,omitempty"` // length of the delegated prefix that begins with Addr; 0 = an address
	MAC      string     `json:"mac,omitempty"`
	ClientID string     `json:"client_id,omitempty"` // option 61, or the DUID of IPv6, in hexadecimal
	Hostname string     `json:"hostname,omitempty"`
	Subnet   string     `json:"subnet,omitempty"`
	Start    time.Time  `json:"start"`
	End      time.Time  `json:"end"`
}

// FactOf turns an event into what travels.
func FactOf(e dhcpsrv.Event) Fact {
	id := e.Lease.ClientID
	if e.Lease.Addr.Is6() {
		id = e.Lease.DUID
	}
	return Fact{
		Event: e.Kind.String(), Addr: e.Lease.Addr, VRF: e.Lease.VRF, Bits: int(e.Lease.Bits), MAC: e.Lease.MAC.String(), ClientID: hex.EncodeToString(id), Hostname: e.Lease.Hostname,
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

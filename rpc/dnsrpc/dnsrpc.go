// Package dnsrpc carries zones, records and forwarding rules from a region to the DNS server of a
// rack.
//
//	objects, err := dnsrpc.Objects(dnsrpc.Content{Zones: zones, Sets: sets})   // region
//	state := region.State("rack-1")
//	state.Set(dnsrpc.Topic, objects)
//	upserts, deletes, err := dnsrpc.SetObjects(changed)                        // later
//	state.Change(dnsrpc.Topic, upserts, deletes)
//
//	follower := dnsrpc.Follow(server)                                          // rack
//	rpc.Topic{Name: dnsrpc.Topic, Apply: follower.Apply, Change: follower.Change}
//
// Dynamic updates go the other way, by [Updater] and [OfferUpdates]: what a region has committed
// comes back as state.
//
// There is one object per zone and per record set, and sets that were learned are apart from those
// that were configured. A changed record is one object on the way and on disk, and changes one
// record of the server, under one new serial of its zone, at a cost that does not depend on how
// many others there are.
package dnsrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
)

// Topic is the rpc topic.
const Topic = "dns"

const (
	zonePrefix    = "zone/"
	setPrefix     = "set/"
	learnedPrefix = "learned/"
	forwardingKey = "forwarding"
	accessKey     = "access"
)

// Content is everything that a DNS server serves by configuration. It holds secrets: the keys of
// zones and of [dnssrv.Access].
type Content struct {
	Zones      []dnssrv.Zone
	Sets       []dnssrv.RRset
	Forwarding dnssrv.Forwarding
	Access     dnssrv.Access
}

// Objects returns the content as keyed objects. Two sets of one name and type are an error.
func Objects(c Content) (map[string][]byte, error) {
	objects := map[string][]byte{}
	put := func(key string, value any) error {
		if _, twice := objects[key]; twice {
			return fmt.Errorf("dnsrpc: %s is there twice", key)
		}
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("dnsrpc: %s: %w", key, err)
		}
		objects[key] = data
		return nil
	}
	if err := put(forwardingKey, c.Forwarding); err != nil {
		return nil, err
	}
	if err := put(accessKey, c.Access); err != nil {
		return nil, err
	}
	for _, zone := range c.Zones {
		if err := put(zoneKey(zone), zone); err != nil {
			return nil, err
		}
	}
	for _, set := range c.Sets {
		if err := put(setKey(set), set); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// SetObjects returns sets as keyed objects, and the keys of sets without data, which are to be
// deleted.
func SetObjects(sets []dnssrv.RRset) (upserts map[string][]byte, deletes []string, err error) {
	upserts = make(map[string][]byte, len(sets))
	for _, set := range sets {
		key := setKey(set)
		if len(set.Data) == 0 {
			deletes = append(deletes, key)
			continue
		}
		if upserts[key], err = json.Marshal(set); err != nil {
			return nil, nil, fmt.Errorf("dnsrpc: %s: %w", key, err)
		}
	}
	return upserts, deletes, nil
}

func zoneKey(z dnssrv.Zone) string { return zonePrefix + fold(z.Name) }

func setKey(s dnssrv.RRset) string {
	prefix := setPrefix
	if s.Learned {
		prefix = learnedPrefix
	}
	return prefix + fold(s.Name) + "/" + strings.ToUpper(s.Type)
}

func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// A Follower makes a server serve the topic. It remembers what it applied, so there is one for each
// server; it is not for concurrent use.
type Follower struct {
	server  *dnssrv.Server
	applied map[string][]byte
}

// Follow returns a follower for a server.
func Follow(server *dnssrv.Server) *Follower {
	return &Follower{server: server, applied: map[string][]byte{}}
}

// Apply makes the server serve the objects and nothing else, through what differs from before.
func (f *Follower) Apply(_ context.Context, objects map[string][]byte) error {
	change, err := difference(f.applied, objects)
	if err != nil {
		return err
	}
	if err := f.apply(change, objects[forwardingKey], objects[accessKey]); err != nil {
		return err
	}
	f.applied = maps.Clone(objects)
	return nil
}

// Change applies objects that differ from those that were applied last.
func (f *Follower) Change(_ context.Context, changed []rpc.Object) error {
	var c dnssrv.Change
	forwarding, access := f.applied[forwardingKey], f.applied[accessKey]
	for _, o := range changed {
		switch {
		case o.Key == forwardingKey:
			forwarding = o.Value
		case o.Key == accessKey:
			access = o.Value
		case o.Deleted:
			remove(&c, o.Key)
		default:
			if err := add(&c, o.Key, o.Value); err != nil {
				return err
			}
		}
	}
	if err := f.apply(c, forwarding, access); err != nil {
		return err
	}
	for _, o := range changed {
		if o.Deleted {
			delete(f.applied, o.Key)
		} else {
			f.applied[o.Key] = o.Value
		}
	}
	return nil
}

// apply hands a change to the server, with what is not part of it if that differs from before.
func (f *Follower) apply(c dnssrv.Change, forwardingData, accessData []byte) error {
	var forwarding dnssrv.Forwarding
	if err := decode(forwardingKey, forwardingData, &forwarding); err != nil {
		return err
	}
	var access dnssrv.Access
	if err := decode(accessKey, accessData, &access); err != nil {
		return err
	}
	if !bytes.Equal(accessData, f.applied[accessKey]) { // before the change, so that it is sent to the secondaries of the new access list
		if err := f.server.SetAccess(access); err != nil {
			return err
		}
	}
	if err := f.server.Update(c); err != nil {
		return err
	}
	if bytes.Equal(forwardingData, f.applied[forwardingKey]) {
		return nil
	}
	return f.server.SetForwarding(forwarding)
}

// decode reads an object that may be missing.
func decode(key string, data []byte, into any) error {
	if data == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("dnsrpc: %s: %w", key, err)
	}
	return nil
}

// Names returns the names of the record sets among some objects, and whether there are zones among
// them.
func Names(objects []rpc.Object) (names []string, zones bool) {
	for _, o := range objects {
		zones = zones || strings.HasPrefix(o.Key, zonePrefix)
		for _, prefix := range []string{setPrefix, learnedPrefix} {
			if rest, ok := strings.CutPrefix(o.Key, prefix); ok {
				name, _, _ := strings.Cut(rest, "/")
				names = append(names, name)
			}
		}
	}
	return names, zones
}

// difference is the change that leads from one state of the topic to another.
func difference(from, to map[string][]byte) (dnssrv.Change, error) {
	var c dnssrv.Change
	for _, key := range slices.Sorted(maps.Keys(to)) {
		if old, there := from[key]; there && bytes.Equal(old, to[key]) {
			continue
		}
		if err := add(&c, key, to[key]); err != nil {
			return c, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		if _, kept := to[key]; !kept {
			remove(&c, key)
		}
	}
	return c, nil
}

func add(c *dnssrv.Change, key string, data []byte) error {
	var err error
	switch {
	case strings.HasPrefix(key, zonePrefix):
		var zone dnssrv.Zone
		if err = json.Unmarshal(data, &zone); err == nil {
			err = named(key, zoneKey(zone))
		}
		c.Zones = append(c.Zones, zone)
	case strings.HasPrefix(key, setPrefix), strings.HasPrefix(key, learnedPrefix):
		var set dnssrv.RRset
		if err = json.Unmarshal(data, &set); err == nil {
			err = named(key, setKey(set))
		}
		c.Set = append(c.Set, set)
	}
	if err != nil {
		return fmt.Errorf("dnsrpc: %s: %w", key, err)
	}
	return nil
}

// named checks that an object has the name in its key, because a removal carries the key alone.
func named(key, want string) error {
	if key != want {
		return fmt.Errorf("holds %s", want)
	}
	return nil
}

func remove(c *dnssrv.Change, key string) {
	if name, ok := strings.CutPrefix(key, zonePrefix); ok {
		c.RemoveZones = append(c.RemoveZones, name)
	}
	for prefix, learned := range map[string]bool{setPrefix: false, learnedPrefix: true} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			name, qtype, _ := strings.Cut(rest, "/")
			c.Set = append(c.Set, dnssrv.RRset{Name: name, Type: qtype, Learned: learned})
		}
	}
}

// Package dnsrpc carries zones, records and forwarding rules from a region to the DNS server of a rack.
//
//	objects, err := dnsrpc.Objects(dnsrpc.Content{Zones: zones, Sets: sets})   // region
//	region.State("rack-1").Set(dnsrpc.Topic, objects)
//
//	rpc.Topic{Name: dnsrpc.Topic, Apply: dnsrpc.Apply(server)}                 // rack
//
// There is one object per zone and per record set, and sets that were learned are apart from those that were configured. Applying compares with what was applied before, so that a changed record
// changes one record of the server, under one new serial of its zone.
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

// Content is everything that a DNS server serves by configuration.
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

func zoneKey(z dnssrv.Zone) string { return zonePrefix + fold(z.Name) }

func setKey(s dnssrv.RRset) string {
	prefix := setPrefix
	if s.Learned {
		prefix = learnedPrefix
	}
	return prefix + fold(s.Name) + "/" + strings.ToUpper(s.Type)
}

func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Apply makes the server serve each state of the topic. The function it returns remembers what it applied, so there is one
// for each server; it is not for concurrent use.
func Apply(server *dnssrv.Server) func(context.Context, map[string][]byte) error {
	applied := map[string][]byte{}
	return func(_ context.Context, objects map[string][]byte) error {
		change, err := difference(applied, objects)
		if err != nil {
			return err
		}
		var forwarding dnssrv.Forwarding
		if data, ok := objects[forwardingKey]; ok {
			if err := json.Unmarshal(data, &forwarding); err != nil {
				return fmt.Errorf("dnsrpc: %s: %w", forwardingKey, err)
			}
		}
		var access dnssrv.Access
		if data, ok := objects[accessKey]; ok {
			if err := json.Unmarshal(data, &access); err != nil {
				return fmt.Errorf("dnsrpc: %s: %w", accessKey, err)
			}
		}
		// Access before the change, so that secondaries hear of it.
		if err := server.SetAccess(access); err != nil {
			return err
		}
		if err := server.Update(change); err != nil {
			return err
		}
		applied = maps.Clone(objects)
		return server.SetForwarding(forwarding)
	}
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

// named makes sure that an object is what its key says, because the key alone is there when it is removed.
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

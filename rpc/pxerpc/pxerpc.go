// Package pxerpc carries boot profiles from a region to a rack, and boot events back.
//
//	objects, err := pxerpc.Objects(pxerpc.Content{Default: &profile, Machines: machines})  // region
//	region.State("rack-1").Set(pxerpc.Topic, objects)
//
//	var table pxerpc.Table                                                               // rack
//	rpc.Topic{Name: pxerpc.Topic, Apply: table.Apply}
//	pxe.New(pxe.Config{Resolver: &table})
//
// A machine that a region deletes is gone from the table with the next state; nothing is cached beside it.
package pxerpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/gomaas/maas/pxe"
)

// Topic is the rpc topic.
const Topic = "boot"

// FactKind is the kind of facts that hold a [pxe.Event].
const FactKind = "boot"

const (
	defaultKey    = "default"
	machinePrefix = "mac/"
)

// Machine is what a rack knows about one link address.
type Machine struct {
	MAC net.HardwareAddr `json:"mac"`
	// Name is the machine's host name, without a domain.
	Name string `json:"name"`
	// Profile is what it boots. Nil means the default.
	Profile *pxe.Profile `json:"profile,omitempty"`
}

// Content is what all machines boot.
type Content struct {
	// Default is for machines without a profile of their own, known or not. Nil means they get none.
	Default  *pxe.Profile
	Machines []Machine
}

// Objects returns the content as keyed objects.
func Objects(c Content) (map[string][]byte, error) {
	objects := map[string][]byte{}
	put := func(key string, value any) error {
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("pxerpc: %s: %w", key, err)
		}
		objects[key] = data
		return nil
	}
	if c.Default != nil {
		if err := put(defaultKey, c.Default); err != nil {
			return nil, err
		}
	}
	for _, m := range c.Machines {
		if err := put(machinePrefix+pxe.FormatMAC(m.MAC), m); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// A Table is a rack's copy of the content. It is a [pxe.Resolver]. The zero Table knows nobody and has no default. Its
// methods may be called concurrently.
type Table struct{ content atomic.Pointer[content] }

type content struct {
	fallback *pxe.Profile
	machines map[string]Machine // by pxe.FormatMAC
}

// Apply replaces the content by that of the objects. An error names the object and leaves the old content.
func (t *Table) Apply(_ context.Context, objects map[string][]byte) error {
	next := &content{machines: map[string]Machine{}}
	for key, data := range objects {
		var err error
		if mac, ok := strings.CutPrefix(key, machinePrefix); ok {
			var m Machine
			if err = json.Unmarshal(data, &m); err == nil && m.Profile != nil {
				err = m.Profile.Validate()
			}
			next.machines[mac] = m
		} else if key == defaultKey {
			next.fallback = new(pxe.Profile)
			if err = json.Unmarshal(data, next.fallback); err == nil {
				err = next.fallback.Validate()
			}
		}
		if err != nil {
			return fmt.Errorf("pxerpc: %s: %w", key, err)
		}
	}
	t.content.Store(next)
	return nil
}

// Machine returns what is known of a link address.
func (t *Table) Machine(mac net.HardwareAddr) (Machine, bool) {
	c := t.content.Load()
	if c == nil || len(mac) == 0 {
		return Machine{}, false
	}
	m, ok := c.machines[pxe.FormatMAC(mac)]
	return m, ok
}

// Resolve returns the machine's own profile, else the default, else [pxe.ErrNoProfile].
func (t *Table) Resolve(_ context.Context, r pxe.Request) (pxe.Profile, error) {
	c := t.content.Load()
	if c == nil {
		return pxe.Profile{}, pxe.ErrNoProfile
	}
	if m, ok := t.Machine(r.MAC); ok && m.Profile != nil {
		return *m.Profile, nil
	}
	if c.fallback != nil {
		return *c.fallback, nil
	}
	return pxe.Profile{}, pxe.ErrNoProfile
}

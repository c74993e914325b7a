// Package pxerpc carries boot profiles from a region to a rack, and boot events back.
//
//	objects, err := pxerpc.Objects(pxerpc.Content{Default: &profile, Machines: machines})  // region
//	region.State("rack-1").Set(pxerpc.Topic, objects)
//
//	var table pxerpc.Table                                                               // rack
//	rpc.Topic{Name: pxerpc.Topic, Apply: table.Apply, Change: table.Change}
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
	"sync"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
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
		if err := put(machineKey(m), m); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// MachineObjects is the change of the topic when what is known of some machines becomes something else.
func MachineObjects(before, after []Machine) (upserts map[string][]byte, deletes []string, err error) {
	upserts = make(map[string][]byte, len(after))
	for _, m := range after {
		key := machineKey(m)
		if upserts[key], err = json.Marshal(m); err != nil {
			return nil, nil, fmt.Errorf("pxerpc: %s: %w", key, err)
		}
	}
	for _, m := range before {
		if key := machineKey(m); upserts[key] == nil {
			deletes = append(deletes, key)
		}
	}
	return upserts, deletes, nil
}

func machineKey(m Machine) string { return machinePrefix + pxe.FormatMAC(m.MAC) }

// Names returns the link addresses among some objects, in the form of net.HardwareAddr's String.
func Names(objects []rpc.Object) map[string]bool {
	out := make(map[string]bool, len(objects))
	for _, o := range objects {
		if mac, ok := strings.CutPrefix(o.Key, machinePrefix); ok {
			out[strings.ReplaceAll(mac, "-", ":")] = true
		}
	}
	return out
}

// A Table is a rack's copy of the content. It is a [pxe.Resolver]. The zero Table knows nobody and has no default. Its
// methods may be called concurrently.
type Table struct {
	mu       sync.RWMutex // guards following
	fallback *pxe.Profile
	machines map[string]Machine // by pxe.FormatMAC
}

// Apply replaces the content by that of the objects. An error names the object and leaves the old content.
func (t *Table) Apply(_ context.Context, objects map[string][]byte) error {
	var fallback *pxe.Profile
	machines := make(map[string]Machine, len(objects))
	for key, data := range objects {
		m, p, err := decode(key, data)
		if err != nil {
			return err
		}
		if mac, ok := strings.CutPrefix(key, machinePrefix); ok {
			machines[mac] = m
		} else if key == defaultKey {
			fallback = p
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fallback, t.machines = fallback, machines
	return nil
}

// Change replaces some of the content. An error names the object and leaves the old content.
func (t *Table) Change(_ context.Context, changed []rpc.Object) error {
	machines, profiles := make([]Machine, len(changed)), make([]*pxe.Profile, len(changed))
	for i, o := range changed {
		if o.Deleted {
			continue
		}
		var err error
		if machines[i], profiles[i], err = decode(o.Key, o.Value); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.machines == nil {
		t.machines = map[string]Machine{}
	}
	for i, o := range changed {
		mac, isMachine := strings.CutPrefix(o.Key, machinePrefix)
		switch {
		case isMachine && o.Deleted:
			delete(t.machines, mac)
		case isMachine:
			t.machines[mac] = machines[i]
		case o.Key == defaultKey:
			t.fallback = profiles[i]
		}
	}
	return nil
}

// decode reads an object: a machine, or the default profile.
func decode(key string, data []byte) (m Machine, p *pxe.Profile, err error) {
	switch {
	case strings.HasPrefix(key, machinePrefix):
		err = json.Unmarshal(data, &m)
		p = m.Profile
	case key == defaultKey:
		p = new(pxe.Profile)
		err = json.Unmarshal(data, p)
	}
	if err == nil && p != nil {
		err = p.Validate()
	}
	if err != nil {
		return m, nil, fmt.Errorf("pxerpc: %s: %w", key, err)
	}
	return m, p, nil
}

// Machine returns what is known of a link address.
func (t *Table) Machine(mac net.HardwareAddr) (Machine, bool) {
	if len(mac) == 0 {
		return Machine{}, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	m, ok := t.machines[pxe.FormatMAC(mac)]
	return m, ok
}

// Resolve returns the machine's own profile, else the default, else [pxe.ErrNoProfile].
func (t *Table) Resolve(_ context.Context, r pxe.Request) (pxe.Profile, error) {
	if m, ok := t.Machine(r.MAC); ok && m.Profile != nil {
		return *m.Profile, nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.fallback != nil {
		return *t.fallback, nil
	}
	return pxe.Profile{}, pxe.ErrNoProfile
}

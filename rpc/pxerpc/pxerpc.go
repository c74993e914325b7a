// Package pxerpc carries boot profiles from a region to a rack, and boot events back.
//
//	objects, err := pxerpc.Objects(pxerpc.Content{Default: &profile, Machines: machines})  // region
//	region.State("rack-1").Set(pxerpc.Topic, objects)
//
//	var table pxerpc.Table                                                               // rack
//	rpc.Topic{Name: pxerpc.Topic, Apply: table.Apply, Change: table.Change}
//	pxe.New(pxe.Config{Resolver: &table})
//
// A machine that a region deletes is gone from the table with the next state; nothing is cached
// beside it.
package pxerpc

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc"
)

// Topic is the rpc topic.
const Topic = "boot"

// FactKind is the kind of facts that hold a [pxe.Event].
const FactKind = "boot"

const (
	defaultKey    = "default"
	varsKey       = "vars"
	machinePrefix = "mac/"
	networkPrefix = "network/"
)

// Machine holds a rack's knowledge of one link address.
type Machine struct {
	MAC net.HardwareAddr `json:"mac"`
	// Name is the machine's host name, without a domain.
	Name string `json:"name"`
	// Profile is the machine's own profile, in any network. Nil means the network's.
	Profile *pxe.Profile `json:"profile,omitempty"`
	// Options end its kernel command line, whichever profile it boots.
	Options string `json:"options,omitempty"`
	// Configured says that its system is complete: it boots its disk, unless its profile is for
	// always.
	Configured bool `json:"configured,omitempty"`
	// Loader is the path of the loader that its firmware started last. Empty is not known.
	Loader string `json:"loader,omitempty"`
}

// Network holds the defaults for machines of a subnet.
type Network struct {
	Prefix netip.Prefix `json:"prefix"`
	// Servers are the boot servers of all racks that serve the subnet, in the order to try them.
	// None is not known.
	Servers []netip.Addr `json:"servers"`
	// Profile is for machines without one of their own. Nil means the default.
	Profile *pxe.Profile `json:"profile,omitempty"`
	// Vars are variables for profiles in this network; they take the place of Content's.
	Vars map[string]string `json:"vars,omitempty"`
}

// Content holds the profiles of all machines, networks and the site.
type Content struct {
	// Default is for machines, known or not, for which neither they nor their networks have a
	// profile. Nil means they get none.
	Default *pxe.Profile
	// Vars are variables for profiles. The variables of the machine's network, and of a profile, go
	// first.
	Vars     map[string]string
	Machines []Machine
	Networks []Network
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
	if len(c.Vars) > 0 {
		if err := put(varsKey, c.Vars); err != nil {
			return nil, err
		}
	}
	for _, m := range c.Machines {
		if err := put(machineKey(m), m); err != nil {
			return nil, err
		}
	}
	for _, n := range c.Networks {
		if err := put(networkPrefix+n.Prefix.String(), n); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// MachineObjects is the change of the topic when what is known of some machines becomes something
// else.
func MachineObjects(before, after []Machine) (upserts map[string][]byte, deletes []string, err error) {
	return rpc.Difference(before, after, machineKey)
}

func machineKey(m Machine) string { return MachineKey(m.MAC) }

// MachineKey returns the key of the object of the machine with a link address.
func MachineKey(mac net.HardwareAddr) string { return machinePrefix + firmware.FormatMAC(mac) }

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

// A Table is a rack's copy of the content. It is a [pxe.Resolver]. The zero Table has no machines
// and no default. Its methods may be called concurrently.
type Table struct {
	mu       sync.RWMutex // guards the fields below
	fallback *pxe.Profile
	vars     map[string]string
	machines map[string]Machine // by firmware.FormatMAC
	names    map[string]int     // machines by name in lower case
	files    map[string]int     // profiles of machines by the files that they name
	networks map[string]Network // by key
}

// Apply replaces the content by the objects' content. An error names the object and leaves the old
// content.
func (t *Table) Apply(_ context.Context, objects map[string][]byte) error {
	next := newTable(len(objects))
	for key, data := range objects {
		value, err := decode(key, data)
		if err != nil {
			return err
		}
		next.put(key, value)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.become(next)
	return nil
}

func newTable(size int) *Table {
	return &Table{machines: make(map[string]Machine, size), names: map[string]int{}, files: map[string]int{}, networks: map[string]Network{}}
}

// become takes the content of another table over.
func (t *Table) become(next *Table) {
	t.fallback, t.vars, t.machines, t.names, t.files, t.networks = next.fallback, next.vars, next.machines, next.names, next.files, next.networks
}

// Change replaces some of the content. An error names the object and leaves the old content.
func (t *Table) Change(_ context.Context, changed []rpc.Object) error {
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
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.machines == nil {
		t.become(newTable(len(changed)))
	}
	for i, o := range changed {
		if o.Deleted {
			t.remove(o.Key)
		} else {
			t.put(o.Key, values[i])
		}
	}
	return nil
}

func (t *Table) put(key string, value any) {
	switch value := value.(type) {
	case Machine:
		t.removeMachine(key)
		t.machines[strings.TrimPrefix(key, machinePrefix)] = value
		t.names[strings.ToLower(value.Name)]++
		t.count(value.Profile, 1)
	case Network:
		t.networks[key] = value
	case pxe.Profile:
		t.fallback = &value
	case map[string]string:
		t.vars = value
	}
}

func (t *Table) remove(key string) {
	t.removeMachine(key)
	delete(t.networks, key)
	switch key {
	case defaultKey:
		t.fallback = nil
	case varsKey:
		t.vars = nil
	}
}

// removeMachine removes a machine, if the key is that of one, and its use of its name.
func (t *Table) removeMachine(key string) {
	mac := strings.TrimPrefix(key, machinePrefix)
	m, known := t.machines[mac]
	if !known {
		return
	}
	delete(t.machines, mac)
	t.count(m.Profile, -1)
	name := strings.ToLower(m.Name)
	if t.names[name]--; t.names[name] <= 0 {
		delete(t.names, name)
	}
}

// count adds to the uses of the files of a profile.
func (t *Table) count(p *pxe.Profile, n int) {
	if p == nil {
		return
	}
	for _, f := range p.Files() {
		if t.files[f] += n; t.files[f] <= 0 {
			delete(t.files, f)
		}
	}
}

// Files returns the files that profiles name, sorted.
func (t *Table) Files() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := slices.Collect(maps.Keys(t.files))
	for _, n := range t.networks {
		if n.Profile != nil {
			out = append(out, n.Profile.Files()...)
		}
	}
	if t.fallback != nil {
		out = append(out, t.fallback.Files()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// HasName reports whether a machine has a host name.
func (t *Table) HasName(name string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return name != "" && t.names[strings.ToLower(name)] > 0
}

// decode reads one object; one of a kind that is not known is nil.
func decode(key string, data []byte) (value any, err error) {
	switch {
	case strings.HasPrefix(key, machinePrefix):
		var m Machine
		if err = json.Unmarshal(data, &m); err == nil && m.Profile != nil {
			err = m.Profile.Validate()
		}
		value = m
	case strings.HasPrefix(key, networkPrefix):
		var n Network
		if err = json.Unmarshal(data, &n); err == nil && n.Profile != nil {
			err = n.Profile.Validate()
		}
		value = n
	case key == defaultKey:
		var p pxe.Profile
		if err = json.Unmarshal(data, &p); err == nil {
			err = p.Validate()
		}
		value = p
	case key == varsKey:
		var vars map[string]string
		err = json.Unmarshal(data, &vars)
		value = vars
	}
	if err != nil {
		return nil, fmt.Errorf("pxerpc: %s: %w", key, err)
	}
	return value, nil
}

// Servers are the boot servers that a client can reach, in the order to try them; nil when nothing
// is known of its subnet.
func (t *Table) Servers(client netip.Addr) []netip.Addr {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.network(client).Servers
}

// network is the smallest that an address lies in; zero when none is known.
func (t *Table) network(client netip.Addr) (best Network) {
	client = client.Unmap().WithZone("")
	for _, n := range t.networks {
		if n.Prefix.Contains(client) && (!best.Prefix.IsValid() || n.Prefix.Bits() > best.Prefix.Bits()) {
			best = n
		}
	}
	return best
}

// Machine returns what is known of a link address.
func (t *Table) Machine(mac net.HardwareAddr) (Machine, bool) {
	if len(mac) == 0 {
		return Machine{}, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	m, ok := t.machines[firmware.FormatMAC(mac)]
	return m, ok
}

// Resolve returns the machine's own profile, else its network's, else the default, with the
// machine's options and the network's variables; or else [pxe.ErrNoProfile]. A machine that is
// configured boots its disk instead.
func (t *Table) Resolve(_ context.Context, r pxe.Request) (pxe.Profile, error) {
	m, _ := t.Machine(r.MAC)
	t.mu.RLock()
	defer t.mu.RUnlock()
	network := t.network(r.Addr)
	p := cmp.Or(m.Profile, network.Profile, t.fallback)
	if p == nil {
		return pxe.Profile{}, pxe.ErrNoProfile
	}
	if m.Configured && !p.Always {
		return pxe.Profile{Name: "configured", Kind: pxe.Local}, nil
	}
	boot := p.WithOptions(m.Options)
	boot.Vars = joinVars(t.vars, network.Vars, boot.Vars)
	return boot, nil
}

// LoaderOf implements [pxe.LoaderChooser].
func (t *Table) LoaderOf(r pxe.Request) pxe.LoaderChoice {
	m, _ := t.Machine(r.MAC)
	var choice pxe.LoaderChoice
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p := cmp.Or(m.Profile, t.network(r.Addr).Profile, t.fallback); p != nil && (p.Always || !m.Configured) {
		choice = p.LoaderChoice()
	}
	choice.Started = m.Loader
	return choice
}

// joinVars is one map of several, of which the later ones go first.
func joinVars(all ...map[string]string) map[string]string {
	out := make(map[string]string)
	for _, vars := range all {
		maps.Copy(out, vars)
	}
	return out
}

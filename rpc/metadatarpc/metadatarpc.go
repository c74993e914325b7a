// Package metadatarpc carries the metadata of machines from a region to a rack.
//
//	objects, err := metadatarpc.Objects(machines, userData)                                  // region
//	region.State("rack-1").Set(metadatarpc.Topic, objects)
//
//	var table metadatarpc.Table                                                            // rack
//	rpc.Topic{Name: metadatarpc.Topic, Apply: table.Apply, Change: table.Change}
//	metadata.New(metadata.Config{Source: &table})
//
// User data is an object of its own, since many machines may share it. It holds secrets: a rack is
// sent the machines that it serves, and their user data alone.
package metadatarpc

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/gomaas/maas/pxe/metadata"
	"github.com/gomaas/maas/rpc"
)

// Topic is the rpc topic.
const Topic = "metadata"

const (
	machinePrefix = "machine/"
	userPrefix    = "user/"
)

// Machine holds the metadata of one machine.
type Machine struct {
	// Instance is without UserData.
	Instance metadata.Instance `json:"instance"`
	// MACs are its link addresses; those that are no MAC of six octets are left out.
	MACs []string `json:"macs"`
	// User is the key of its user data; "" = it has none.
	User string `json:"user,omitempty"`
}

// Objects returns the topic's objects: machines, and user data by key.
func Objects(machines []Machine, users map[string][]byte) (map[string][]byte, error) {
	out, _, err := Difference(nil, machines, users)
	return out, err
}

// UserKey returns the key of the object of user data.
func UserKey(user string) string { return userPrefix + user }

// Difference returns the change of the topic when some machines become something else. Users are
// the user data of the machines after. User data that no machine of the rack has any more is for
// the caller to delete, by [UserKey]: only it knows the rack's other machines.
func Difference(before, after []Machine, users map[string][]byte) (upserts map[string][]byte, deletes []string, err error) {
	upserts, deletes, err = rpc.Difference(before, after, func(m Machine) string { return machinePrefix + m.Instance.ID })
	if err != nil {
		return nil, nil, fmt.Errorf("metadatarpc: %w", err)
	}
	if upserts == nil {
		upserts = make(map[string][]byte)
	}
	for _, m := range after {
		if data, ok := users[m.User]; ok && m.User != "" {
			upserts[userPrefix+m.User] = data
		}
	}
	return upserts, deletes, nil
}

// A Table is a rack's copy of the content. It is a [metadata.Source]. The zero Table has no
// machines. Its methods may be called concurrently.
type Table struct {
	mu       sync.RWMutex // guards the fields below
	machines map[string]Machine
	users    map[string][]byte
	macs     map[string]string     // keys of machines by link address
	addrs    map[netip.Addr]string // and by static address
}

func newTable(size int) *Table {
	return &Table{machines: make(map[string]Machine, size), users: make(map[string][]byte), macs: make(map[string]string, size), addrs: make(map[netip.Addr]string, size)}
}

// Apply replaces the content by the objects' content. An error names the object and leaves the old
// content.
func (t *Table) Apply(_ context.Context, objects map[string][]byte) error {
	next := newTable(len(objects))
	for key, data := range objects {
		if err := next.put(key, data); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.machines, t.users, t.macs, t.addrs = next.machines, next.users, next.macs, next.addrs
	return nil
}

// Change replaces some of the content. An error names the object and leaves the old content.
func (t *Table) Change(_ context.Context, changed []rpc.Object) error {
	check := newTable(len(changed))
	for _, o := range changed {
		if !o.Deleted {
			if err := check.put(o.Key, o.Value); err != nil {
				return err
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.machines == nil {
		next := newTable(len(changed))
		t.machines, t.users, t.macs, t.addrs = next.machines, next.users, next.macs, next.addrs
	}
	for _, o := range changed {
		t.remove(o.Key)
	}
	for _, o := range changed {
		if !o.Deleted {
			_ = t.put(o.Key, o.Value) // it was decoded before
		}
	}
	return nil
}

// put adds an object whose key the table does not have. Objects of kinds that are not known are
// ignored.
func (t *Table) put(key string, data []byte) error {
	if user, ok := strings.CutPrefix(key, userPrefix); ok {
		t.users[user] = data
		return nil
	}
	if !strings.HasPrefix(key, machinePrefix) {
		return nil
	}
	var m Machine
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("metadatarpc: %s: %w", key, err)
	}
	t.machines[key] = m
	for _, mac := range m.MACs {
		t.macs[strings.ToLower(mac)] = key
	}
	for _, a := range m.Instance.Addrs {
		t.addrs[a] = key
	}
	return nil
}

func (t *Table) remove(key string) {
	if user, ok := strings.CutPrefix(key, userPrefix); ok {
		delete(t.users, user)
		return
	}
	m := t.machines[key]
	delete(t.machines, key)
	// An address that another machine got meanwhile stays.
	for _, mac := range m.MACs {
		if mac = strings.ToLower(mac); t.macs[mac] == key {
			delete(t.macs, mac)
		}
	}
	for _, a := range m.Instance.Addrs {
		if t.addrs[a] == key {
			delete(t.addrs, a)
		}
	}
}

// ByMAC implements [metadata.Source].
func (t *Table) ByMAC(_ context.Context, mac net.HardwareAddr) (metadata.Instance, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.instance(t.macs[mac.String()])
}

// ByAddr implements [metadata.Source] for static addresses.
func (t *Table) ByAddr(_ context.Context, addr netip.Addr) (metadata.Instance, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.instance(t.addrs[addr])
}

func (t *Table) instance(key string) (metadata.Instance, error) {
	m, known := t.machines[key]
	if !known {
		return metadata.Instance{}, fs.ErrNotExist
	}
	in := m.Instance
	in.UserData = t.users[m.User]
	return in, nil
}

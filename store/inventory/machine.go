package inventory

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Status is a machine's state in its life cycle.
type Status string

// The states, named as MAAS shows them.
const (
	StatusNew           Status = "New" // enlisted, not yet accepted
	StatusCommissioning Status = "Commissioning"
	StatusReady         Status = "Ready"
	StatusAllocated     Status = "Allocated"
	StatusDeploying     Status = "Deploying"
	StatusDeployed      Status = "Deployed"
	StatusReleasing     Status = "Releasing"
	StatusBroken        Status = "Broken"
)

// Machine is a computer that is managed: booted, powered, named.
type Machine struct {
	ID          int64
	SystemID    string // six letters and digits, made when it is created, never reused
	Version     int64  // counts changes; an update must carry the one that was read
	Hostname    string // one label, unique in its domain; "" = a name is made up
	DomainID    int64  // 0 = the default domain
	Description string
	Owner       string // user it is allocated to; "" = none
	ZoneID      int64  // 0 = the default zone
	PoolID      int64  // 0 = the default pool
	Status      Status // "" = StatusNew

	Architecture string // "amd64/generic", "arm64/generic"; "" = not known
	Firmware     string // boot method it was last seen to use, such as "uefi-amd64-pxe"; "" = not known
	UUID         string // as firmware reports it, in lower case; not unique among bad boards; "" = not known

	Power Power
	// Profile is its boot profile; nil = the site's default.
	Profile *pxe.Profile

	// Configured holds the time at which its system reported that its configuration is complete:
	// from then on the machine boots its disk, see pxe.Profile.Always. Zero = no report since it
	// was released, or since its profile changed; a caller that writes zero has it boot its profile
	// again.
	Configured time.Time

	// Loader holds the path of the boot loader that its firmware started last, such as
	// "2023/shimx64.efi"; "" = not known. Racks hand it that one again.
	Loader string

	// Locked machines are not deleted, given back or switched off.
	Locked bool

	Interfaces []Interface // in order of ID
	Created    time.Time
	Updated    time.Time

	// Tags are the names of its tags in order; see Tags.MarkNodes. Writes do not change them.
	Tags []string
	// Gateway4 and Gateway6 are the IDs of the links through whose subnets' gateways it reaches the
	// rest of the world; 0 = not chosen. See SetDefaultGateway. Writes do not change them.
	Gateway4, Gateway6 int64

	// FQDN is filled in by reads: Hostname and the name of the domain.
	FQDN string
}

// BootInterface returns the interface the machine boots from: the one marked so, else the first
// physical one.
func (m *Machine) BootInterface() (Interface, bool) {
	for _, i := range m.Interfaces {
		if i.Boot {
			return i, true
		}
	}
	for _, i := range m.Interfaces {
		if i.Kind == ipam.Physical {
			return i, true
		}
	}
	return Interface{}, false
}

// BootMAC returns the link address the machine boots from; nil = none known.
func (m *Machine) BootMAC() net.HardwareAddr {
	i, _ := m.BootInterface()
	return i.MAC
}

// Addrs returns the machine's addresses, those given before those observed.
func (m *Machine) Addrs() []netip.Addr {
	var given, seen []netip.Addr
	for _, i := range m.Interfaces {
		for _, l := range i.Links {
			switch {
			case !l.Addr.IsValid():
			case l.Type == ipam.AllocDiscovered:
				seen = append(seen, l.Addr)
			default:
				given = append(given, l.Addr)
			}
		}
	}
	return append(given, seen...)
}

// node is the row that machines and devices share.
type node struct {
	Machine
	kind     string
	parentID int64
}

var nodes = table[node]{
	kind: "node", name: "node",
	cols: []string{"kind", "system_id", "hostname", "domain_id", "description", "owner", "zone_id", "pool_id", "parent_id", "status",
		"architecture", "firmware", "uuid", "power_type", "power_params", "power_state", "profile", "created", "updated", "locked", "configured", "loader"},
	id: func(n *node) *int64 { return &n.ID }, version: func(n *node) *int64 { return &n.Version },
	label: func(n *node) string { return n.Hostname },
	fields: func(n *node) []any {
		return []any{&n.kind, &n.SystemID, &n.Hostname, &n.DomainID, &n.Description, &n.Owner, &n.ZoneID, &n.PoolID, asRef{&n.parentID}, &n.Status,
			&n.Architecture, &n.Firmware, &n.UUID, &n.Power.Type, asJSON{&n.Power.Params}, &n.Power.State, asJSON{&n.Profile}, asTime{&n.Created}, asTime{&n.Updated}, &n.Locked, asTime{&n.Configured}, &n.Loader}
	},
}

// insertNode fills in what is left out and inserts the row, its secrets and interfaces.
func (inv *Inventory) insertNode(ctx context.Context, tx *store.Tx, n *node) (err error) {
	n.ID = 0
	n.Status = cmp.Or(n.Status, StatusNew)
	n.Created = time.Now()
	n.Updated = n.Created
	if err := fillDefaults(ctx, tx, n); err != nil {
		return err
	}
	if n.Hostname == "" {
		if n.Hostname, err = freeName(ctx, tx, n.DomainID); err != nil {
			return err
		}
	}
	if err := n.check(); err != nil {
		return err
	}
	if err := inv.checkFiles(ctx, tx, "machine "+n.Hostname, n.Profile); err != nil {
		return err
	}
	if n.kind == kinds.Device {
		if err := (wantedName{kind: n.kind, label: n.Hostname, id: n.DomainID, owner: n.Owner}).free(ctx, tx); err != nil {
			return err
		}
	}
	if n.SystemID, err = freeSystemID(ctx, tx); err != nil {
		return err
	}
	if err := nodes.insert(ctx, tx, n); err != nil {
		return taken(err, n.kind, "hostname "+n.Hostname+" in its domain")
	}
	n.changed(tx, store.Created)
	if n.Power.Secrets != nil {
		if err := inv.putSecrets(ctx, tx, n.ID, n.Power.Secrets); err != nil {
			return err
		}
	}
	return insertInterfaces(ctx, tx, n)
}

// changed puts the node into the change feed under its own kind.
func (n *node) changed(tx *store.Tx, op store.Op) { tx.Changed(n.kind, n.ID, op) }

// fillDefaults sets what is left out and checks that the objects it refers to exist.
func fillDefaults(ctx context.Context, tx *store.Tx, n *node) error {
	if err := orFirst(ctx, tx, domains, &n.DomainID); err != nil {
		return err
	}
	if err := orFirst(ctx, tx, zones, &n.ZoneID); err != nil {
		return err
	}
	if err := orFirst(ctx, tx, resourcePools, &n.PoolID); err != nil {
		return err
	}
	if n.parentID == 0 {
		return nil
	}
	_, err := nodeOf(ctx, tx, kinds.Machine, n.parentID)
	return err
}

// nodeOf reads a node of a kind.
func nodeOf(ctx context.Context, tx *store.Tx, kind string, id int64) (node, error) {
	n, err := nodes.one(ctx, tx, fmt.Sprint(id), "id = ? AND kind = ?", id, kind)
	if notFound(err) {
		err = &NotFoundError{kind, fmt.Sprint(id)}
	}
	return n, err
}

func (n *node) check() (err error) {
	if n.Hostname, err = HostName(n.kind, n.Hostname); err != nil {
		return err
	}
	n.UUID = strings.ToLower(n.UUID)
	if n.Profile != nil {
		if err := n.Profile.Validate(); err != nil {
			return err
		}
	}
	return n.Power.check(n.kind, n.Hostname)
}

func (inv *Inventory) updateNode(ctx context.Context, tx *store.Tx, n *node) error {
	old, err := nodeOf(ctx, tx, n.kind, n.ID)
	if err != nil {
		return err
	}
	// The table would find it too, but only after fields were filled in and checked.
	if old.Version != n.Version {
		return &StaleError{Kind: n.kind, Name: old.Hostname, Have: old.Version, Want: n.Version}
	}
	if err := fillDefaults(ctx, tx, n); err != nil {
		return err
	}
	// Fields that the caller never has, or may leave out, keep their value.
	n.Hostname = cmp.Or(n.Hostname, old.Hostname)
	n.Status = cmp.Or(n.Status, old.Status)
	if err := n.check(); err != nil {
		return err
	}
	if n.kind == kinds.Device && (n.Hostname != old.Hostname || n.DomainID != old.DomainID) {
		if err := (wantedName{kind: n.kind, label: n.Hostname, id: n.DomainID, owner: n.Owner}).free(ctx, tx); err != nil {
			return err
		}
	}
	if !reflect.DeepEqual(n.Profile, old.Profile) { // it is to boot the new one
		if err := inv.checkFiles(ctx, tx, "machine "+n.Hostname, n.Profile); err != nil {
			return err
		}
		n.Configured = time.Time{}
	}
	n.SystemID, n.Created, n.Updated = old.SystemID, old.Created, time.Now()
	if err := nodes.update(ctx, tx, n); err != nil {
		return taken(err, n.kind, "hostname "+n.Hostname+" in its domain")
	}
	n.changed(tx, store.Updated)
	if n.Power.Secrets == nil {
		return nil
	}
	return inv.putSecrets(ctx, tx, n.ID, n.Power.Secrets)
}

func (inv *Inventory) deleteNode(ctx context.Context, kind string, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := nodeOf(ctx, tx, kind, id)
		if err != nil {
			return err
		}
		if n.Locked {
			return &InUseError{Kind: kind, Name: n.Hostname, Remedy: "it is locked; unlock it first"}
		}
		children, err := nodes.list(ctx, tx, "parent_id = ?", id)
		if err != nil {
			return err
		}
		// Children are devices inside the machine, such as its containers; they end with it.
		for _, child := range children {
			if err := inv.deleteNode(ctx, child.kind, child.ID); err != nil {
				return err
			}
		}
		if err := inv.releaseWhere(ctx, tx, "interface_id IN (SELECT id FROM interface WHERE node_id = ?)", id); err != nil {
			return err
		}
		if kind == kinds.Machine { // its user data goes with it, and readers of changes are to know
			if err := inv.UserData.Set(ctx, BootTarget{MachineID: id}, nil); err != nil {
				return err
			}
		}
		// The machine's events go with it; the audit log stays.
		if err := nodes.delete(ctx, tx, id); err != nil {
			return err
		}
		n.changed(tx, store.Deleted)
		return nil
	})
}

// MachineBySystemID returns a machine by its system ID.
func (inv *Inventory) MachineBySystemID(ctx context.Context, id string) (Machine, error) {
	return inv.machine(ctx, id, "n.system_id = ?", id)
}

// MachineByMAC returns the machine that has an interface with a link address.
func (inv *Inventory) MachineByMAC(ctx context.Context, mac net.HardwareAddr) (Machine, error) {
	return inv.machine(ctx, "with MAC "+mac.String(), "n.id IN (SELECT node_id FROM interface WHERE mac = ?)", mac.String())
}

func (inv *Inventory) machine(ctx context.Context, what, where string, args ...any) (m Machine, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		m, err = machineBy(ctx, tx, what, where, args...)
		return err
	})
	return m, err
}

func machineBy(ctx context.Context, tx *store.Tx, what, where string, args ...any) (Machine, error) {
	n, err := oneNode(ctx, tx, kinds.Machine, what, where, args...)
	return n.Machine, err
}

// fewNodes is up to how many nodes their interfaces are asked for by number.
const fewNodes = 16

// nodesWhere reads nodes of a kind with their interfaces and links. In where, n is the node and d
// its domain.
func nodesWhere(ctx context.Context, tx *store.Tx, kind, where string, args ...any) ([]node, error) {
	condition := "n.kind = ?"
	if where != "" {
		condition += " AND (" + where + ")"
	}
	args = append([]any{kind}, args...)
	join := " FROM node n JOIN domain d ON d.id = n.domain_id WHERE " + condition
	var all []node
	err := tx.Query(ctx, "SELECT "+nodes.columns("n.")+", d.name"+join+" ORDER BY d.id, n.id", args, func(scan func(...any) error) error {
		var n node
		var domain string
		if err := scan(append(nodes.dest(&n), &domain)...); err != nil {
			return err
		}
		n.FQDN = n.Hostname + "." + domain
		all = append(all, n)
		return nil
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	which := "node_id IN (SELECT n.id" + join + ")"
	if len(all) <= fewNodes { // the condition is looked up once only
		args = args[:0]
		for i := range all {
			args = append(args, all[i].ID)
		}
		which = "node_id IN (?" + strings.Repeat(", ?", len(all)-1) + ")"
	}
	perNode, err := interfacesWhere(ctx, tx, which, args...)
	for i := range all {
		all[i].Interfaces = perNode[all[i].ID]
	}
	if err != nil {
		return nil, err
	}
	return all, addMarks(ctx, tx, all, which, args)
}

// LockMachine locks or unlocks a machine. A locked one is not deleted, given back or switched off.
func (inv *Inventory) LockMachine(ctx context.Context, id int64, locked bool) error {
	return inv.Atomically(ctx, func(ctx context.Context) error {
		m, err := inv.Machines.Get(ctx, id)
		if err != nil || m.Locked == locked {
			return err
		}
		m.Locked = locked
		_, err = inv.Machines.Update(ctx, m)
		return err
	})
}

// machines is the collection of the machines. A machine is created with its interfaces, each of
// which needs a link address that no other machine has; one without a name is called eth0, eth1 and
// so on, and the first boots if none is marked to. Update changes a machine's own fields, not its
// interfaces, and keeps the stored secrets if Power.Secrets is nil. A machine is deleted with its
// interfaces, addresses and events, and the devices that are part of it.
func (inv *Inventory) machines() *Collection[Machine] {
	return nodeCollection(inv, kinds.Machine, func(m *Machine) *int64 { return &m.ID },
		func(m Machine) node { return node{Machine: m, kind: kinds.Machine} }, func(n node) Machine { return n.Machine })
}

// nodeCollection makes the collection of one kind of node.
func nodeCollection[T any](inv *Inventory, kind string, id func(*T) *int64, in func(T) node, out func(node) T) *Collection[T] {
	list := func(ctx context.Context, tx *store.Tx, where string, args ...any) ([]T, error) {
		all, err := nodesWhere(ctx, tx, kind, where, args...)
		return each(all, out), err
	}
	one := func(ctx context.Context, tx *store.Tx, what, where string, args ...any) (v T, err error) {
		n, err := oneNode(ctx, tx, kind, what, where, args...)
		if err != nil {
			return v, err
		}
		return out(n), nil
	}
	write := func(do func(context.Context, *store.Tx, *node) error) func(context.Context, *store.Tx, *T) error {
		return func(ctx context.Context, tx *store.Tx, v *T) error {
			n := in(*v)
			if err := do(ctx, tx, &n); err != nil {
				return err
			}
			stored, err := oneNode(ctx, tx, kind, fmt.Sprint(n.ID), "n.id = ?", n.ID)
			*v = out(stored)
			return err
		}
	}
	return &Collection[T]{inv, id, operations[T]{
		list: list,
		get: func(ctx context.Context, tx *store.Tx, id int64) (T, error) {
			return one(ctx, tx, fmt.Sprint(id), "n.id = ?", id)
		},
		find: func(ctx context.Context, tx *store.Tx, name string) (T, error) {
			// Of several domains with the host name, the default one's comes first.
			name = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".")
			if host, domain, dotted := strings.Cut(name, "."); dotted {
				return one(ctx, tx, name, "n.hostname = ? AND d.name = ?", host, domain)
			}
			return one(ctx, tx, name, "n.hostname = ? OR n.system_id = ?", name, name)
		},
		insert: write(inv.insertNode),
		update: write(inv.updateNode),
		delete: func(ctx context.Context, _ *store.Tx, id int64) error { return inv.deleteNode(ctx, kind, id) },
	}}
}

// oneNode reads the first node of a kind for which where holds; what describes it in the error if
// there is none.
func oneNode(ctx context.Context, tx *store.Tx, kind, what, where string, args ...any) (node, error) {
	all, err := nodesWhere(ctx, tx, kind, where, args...)
	if err != nil {
		return node{}, err
	}
	if len(all) == 0 {
		return node{}, &NotFoundError{kind, what}
	}
	return all[0], nil
}

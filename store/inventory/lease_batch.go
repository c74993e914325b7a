package inventory

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// leaseBatch holds the rows that some facts are about. They are read with a few queries and changed
// in memory; then what changed is written. A lease that was granted and renewed is one row.
type leaseBatch struct {
	ls *Leases
	tx *store.Tx
	// These outlive a part of the batch, since facts change none of them.
	subnets []ipam.Subnet
	dynamic map[int64][]ipam.Range // by subnet
	nodes   map[int64]string       // kinds

	interfaces map[int64]ipam.Interface
	byMAC      map[string][]ipam.Interface // in order of ID
	seen       map[netip.Addr]*seenRow
	seenOn     map[int64][]*seenRow        // by interface
	history    map[netip.Addr][]*periodRow // in order of start

	// Rows and events to be written, in the order of the facts.
	gone, begun []*seenRow
	periods     []*periodRow
	notes       []Event
}

// seenRow is an observed address.
type seenRow struct {
	held
	renewed bool // only its end moved
	dropped bool
}

// periodRow is a period of the history.
type periodRow struct {
	LeasePeriod
	dirty bool
}

// leasesAtOnce bounds the facts that are read and written together: the lists of a query are as
// long.
const leasesAtOnce = 256

func newLeaseBatch(ls *Leases, tx *store.Tx) *leaseBatch {
	return &leaseBatch{ls: ls, tx: tx, dynamic: make(map[int64][]ipam.Range), nodes: make(map[int64]string)}
}

// record takes in some facts, which were checked.
func (b *leaseBatch) record(ctx context.Context, facts []subnetFact) error {
	b.gone, b.begun, b.periods, b.notes = nil, nil, nil, nil
	if err := b.load(ctx, facts); err != nil {
		return err
	}
	for _, f := range facts {
		b.note(f)
		switch {
		case f.Ended:
			if err := b.end(ctx, f.LeaseFact); err != nil {
				return err
			}
		case f.dynamic:
			if err := b.begin(ctx, f); err != nil {
				return err
			}
		}
	}
	return b.write(ctx)
}

// subnetFact is a fact with the subnet of its address.
type subnetFact struct {
	LeaseFact
	subnet  ipam.Subnet
	dynamic bool // the address lies in a dynamic range
}

// place finds the subnet of a fact's address.
func (b *leaseBatch) place(ctx context.Context, f LeaseFact) (out subnetFact, err error) {
	out.LeaseFact = f
	if f.Bits > 0 {
		out.subnet, err = delegatingSubnet(ctx, b.tx, f.Addr)
		return out, err
	}
	i := slices.IndexFunc(b.subnets, func(s ipam.Subnet) bool { return s.Prefix.Contains(f.Addr.Unmap().WithZone("")) })
	if i < 0 {
		s, err := subnetFor(ctx, b.tx, f.Addr)
		if err != nil {
			return out, err
		}
		i, b.subnets = len(b.subnets), append(b.subnets, s)
	}
	out.subnet = b.subnets[i]
	rs, known := b.dynamic[out.subnet.ID]
	if !known {
		if rs, err = ranges.list(ctx, b.tx, "subnet_id = ? AND type = ?", out.subnet.ID, int64(ipam.RangeDynamic)); err != nil {
			return out, err
		}
		b.dynamic[out.subnet.ID] = rs
	}
	// A client with a reservation leases an address outside the ranges, which its machine holds.
	out.dynamic = slices.ContainsFunc(rs, func(r ipam.Range) bool { return r.Contains(f.Addr) })
	return out, nil
}

// load reads what the database has of the facts' addresses and interfaces.
func (b *leaseBatch) load(ctx context.Context, facts []subnetFact) error {
	b.interfaces, b.byMAC = make(map[int64]ipam.Interface), make(map[string][]ipam.Interface)
	b.seen, b.seenOn = make(map[netip.Addr]*seenRow), make(map[int64][]*seenRow)
	var macs, ips, holders, own []any
	first := make(map[netip.Addr]time.Time)
	for _, f := range facts {
		if at, known := first[f.Addr]; !known || f.Time.Before(at) {
			first[f.Addr] = f.Time
		}
		ips = append(ips, f.Addr.String())
		if len(f.MAC) > 0 { // a router need not have one
			macs = append(macs, f.MAC.String())
		}
	}
	if err := b.loadSeen(ctx, "ip", ips); err != nil {
		return err
	}
	for id := range b.seenOn {
		holders = append(holders, id)
	}
	if err := b.loadInterfaces(ctx, "id", holders); err != nil {
		return err
	}
	if err := b.loadInterfaces(ctx, "mac", macs); err != nil {
		return err
	}
	for _, f := range facts {
		for _, i := range b.byMAC[f.MAC.String()] {
			own = append(own, i.ID)
		}
	}
	if err := b.loadSeen(ctx, "interface_id", own); err != nil {
		return err
	}
	return b.loadHistory(ctx, first)
}

// among returns a condition that a column has one of some values. Lists of about the same length
// have the same condition, so that its query is prepared once.
func among(column string, values []any) (string, []any) {
	values = padded(values)
	return column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", values
}

// padded repeats the last value up to a power of two.
func padded(values []any) []any {
	n := 1
	for n < len(values) {
		n *= 2
	}
	values = slices.Clone(values)
	for len(values) < n {
		values = append(values, values[len(values)-1])
	}
	return values
}

func (b *leaseBatch) loadInterfaces(ctx context.Context, column string, values []any) error {
	if len(values) == 0 {
		return nil
	}
	where, args := among(column, values)
	all, err := interfaces.list(ctx, b.tx, where, args...)
	for _, i := range all {
		if b.interfaces[i.ID] = i; column == "mac" {
			b.byMAC[i.MAC.String()] = append(b.byMAC[i.MAC.String()], i)
		}
	}
	return err
}

func (b *leaseBatch) loadSeen(ctx context.Context, column string, values []any) error {
	if len(values) == 0 {
		return nil
	}
	where, args := among(column, values)
	all, err := allocations.list(ctx, b.tx, "type = ? AND "+where, append([]any{int64(ipam.AllocDiscovered)}, args...)...)
	for _, row := range all {
		if b.seen[row.Addr] == nil {
			b.keep(&seenRow{held: row})
		}
	}
	return err
}

// keep adds an observed address to the batch.
func (b *leaseBatch) keep(row *seenRow) {
	b.seen[row.Addr] = row
	b.seenOn[row.InterfaceID] = append(b.seenOn[row.InterfaceID], row)
}

// loadHistory reads, of each address, the period before the first fact and all later ones.
func (b *leaseBatch) loadHistory(ctx context.Context, first map[netip.Addr]time.Time) error {
	b.history = make(map[netip.Addr][]*periodRow)
	var ips []any
	for a := range first {
		ips = append(ips, a)
	}
	var args []any
	for _, a := range padded(ips) {
		a := a.(netip.Addr)
		args = append(args, a.String(), first[a].UnixMicro())
	}
	query := "WITH want (ip, at) AS (VALUES (CAST(? AS TEXT), CAST(? AS BIGINT))" + strings.Repeat(", (?, ?)", len(args)/2-1) + ") SELECT " + periods.columns("h.") +
		` FROM want CROSS JOIN lease_history h WHERE h.ip = want.ip AND h.began >= COALESCE(
			(SELECT MAX(m.began) FROM lease_history m WHERE m.ip = want.ip AND m.began <= want.at), h.began)`
	known := make(map[int64]bool)
	err := b.tx.Query(ctx, query, args, func(scan func(...any) error) error {
		p := new(periodRow)
		if err := scan(periods.dest(&p.LeasePeriod)...); err != nil {
			return err
		}
		if !known[p.ID] {
			known[p.ID] = true
			b.history[p.Addr] = append(b.history[p.Addr], p)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("inventory: read %s list: %w", periods.kind, err)
	}
	for _, all := range b.history {
		slices.SortFunc(all, func(a, b *periodRow) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID)) })
	}
	return nil
}

func (b *leaseBatch) end(ctx context.Context, f LeaseFact) error {
	row := b.seen[f.Addr]
	if row == nil {
		return nil
	}
	i := b.interfaces[row.InterfaceID]
	// Facts of two racks arrive in any order: the end of an old lease may follow the start of a new
	// one of the same address.
	if i.MAC.String() != f.MAC.String() || row.Created.After(f.Time) {
		return nil // another client has it by now, or the fact is an old one
	}
	b.drop(row)
	return b.touch(ctx, i.NodeID)
}

func (b *leaseBatch) begin(ctx context.Context, f subnetFact) error {
	i, err := b.seenInterface(ctx, f.subnet, f.MAC)
	if err != nil {
		return err
	}
	row := b.seen[f.Addr]
	switch {
	case row != nil && row.InterfaceID == i.ID && row.hostname == f.Hostname:
		if f.Expires.After(row.Expires) {
			// A renewal is not in the change feed: no plan depends on it.
			row.Expires, row.renewed = f.Expires, true
		}
		return nil
	case row != nil && row.Created.After(f.Time):
		return nil
	case row != nil:
		b.drop(row)
	}
	// A client has one observed address of each family.
	for _, old := range slices.Clone(b.seenOn[i.ID]) {
		if old.Addr.Is4() == f.Addr.Is4() {
			b.drop(old)
		}
	}
	fresh := &seenRow{held: held{hostname: f.Hostname, Allocation: ipam.Allocation{
		Type: ipam.AllocDiscovered, SubnetID: f.subnet.ID, Addr: f.Addr, InterfaceID: i.ID, Created: f.Time, Expires: f.Expires,
	}}}
	b.keep(fresh)
	b.begun = append(b.begun, fresh)
	return b.touch(ctx, i.NodeID)
}

// drop forgets an observed address.
func (b *leaseBatch) drop(row *seenRow) {
	delete(b.seen, row.Addr)
	b.seenOn[row.InterfaceID] = slices.DeleteFunc(b.seenOn[row.InterfaceID], func(r *seenRow) bool { return r == row })
	row.dropped = true
	if row.ID != 0 {
		b.gone = append(b.gone, row)
	}
}

// touch reports a change of a machine or device, if the interface is of one.
func (b *leaseBatch) touch(ctx context.Context, node int64) error {
	if node == 0 {
		return nil
	}
	if b.nodes[node] == "" {
		var kind string
		if err := b.tx.Get(ctx, "SELECT kind FROM node WHERE id = ?", []any{node}, &kind); err != nil {
			return err
		}
		b.nodes[node] = kind
	}
	b.tx.Changed(b.nodes[node], node, store.Updated)
	return nil
}

// seenInterface returns the interface with a link address, made if it is not there.
func (b *leaseBatch) seenInterface(ctx context.Context, s ipam.Subnet, mac net.HardwareAddr) (ipam.Interface, error) {
	all := b.byMAC[mac.String()]
	// A bond and its VLANs have the link address of a physical interface. DHCP packets of the
	// firmware come from the physical one.
	for _, i := range all {
		if i.Kind == ipam.Physical || i.Kind == ipam.Unknown || len(all) == 1 {
			return i, nil
		}
	}
	i := ipam.Interface{Name: "eth0", Kind: ipam.Unknown, MAC: mac, VLANID: s.VLANID, Enabled: true}
	if err := interfaces.insert(ctx, b.tx, &i); err != nil {
		return i, err
	}
	b.interfaces[i.ID], b.byMAC[mac.String()] = i, append(all, i)
	return i, nil
}

// write writes what the facts changed.
func (b *leaseBatch) write(ctx context.Context) error {
	// Deletions first: an address is observed once.
	for _, row := range b.gone {
		if err := allocations.delete(ctx, b.tx, row.ID); err != nil {
			return err
		}
	}
	for _, row := range b.begun {
		if row.dropped {
			continue // it ended in this batch
		}
		if err := insertHeld(ctx, b.tx, &row.held); err != nil {
			return fmt.Errorf("inventory: record lease of %s: %w", row.Addr, err)
		}
		row.renewed = false
	}
	for _, row := range b.seen {
		if !row.renewed {
			continue
		}
		if _, err := b.tx.Exec(ctx, "UPDATE allocation SET expires = ? WHERE id = ?", asTime{&row.Expires}, row.ID); err != nil {
			return err
		}
	}
	if err := b.writeHistory(ctx); err != nil {
		return err
	}
	for _, e := range b.notes {
		if err := b.ls.inv.Events.add(ctx, b.tx, e); err != nil {
			return err
		}
	}
	return nil
}

func (b *leaseBatch) writeHistory(ctx context.Context) error {
	for _, p := range b.periods {
		if p.ID == 0 {
			if err := b.ls.insertPeriod(ctx, b.tx, &p.LeasePeriod); err != nil {
				return err
			}
			continue
		}
		_, err := b.tx.Exec(ctx, "UPDATE lease_history SET expires = ?, ended = ?, how = ?, hostname = ?, client_id = ? WHERE id = ?",
			asTime{&p.Expires}, asTime{&p.Ended}, p.How, p.Hostname, p.ClientID, p.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// holdersWhere is the condition of interfaces whose VLANs say which racks may report about them.
// It looks at single nodes: SQLite would read all of them for IN (SELECT ...), at each boot.
const holdersWhere = "EXISTS (SELECT 1 FROM node WHERE node.id = interface.node_id AND (node.kind <> ? OR node.status <> ?))"

// Holders returns, by link address, the interfaces of machines and devices with one of some link
// addresses. Their VLANs say which racks may report about them. Machines that were enlisted and
// that no administrator took up yet are left out: until then they are where they boot.
func (ls *Leases) Holders(ctx context.Context, macs ...string) (map[string][]Interface, error) {
	out := make(map[string][]Interface)
	err := ls.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		clear(out)
		for some := range slices.Chunk(anys(macs), leasesAtOnce) {
			where, args := among("mac", some)
			all, err := interfaces.list(ctx, tx, where+" AND "+holdersWhere, append(args, kinds.Machine, string(StatusNew))...)
			if err != nil {
				return err
			}
			for _, i := range all {
				out[i.MAC.String()] = append(out[i.MAC.String()], Interface{Interface: i})
			}
		}
		return nil
	})
	return out, err
}

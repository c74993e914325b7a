package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Codes that an update is answered with (RFC 2136 section 2.2).
const (
	rcodeSuccess = 0
	rcodeFailed  = 2
	rcodeRefused = 5
)

// DynamicUpdate applies a dynamic update (RFC 2136) in wire form for the authenticated holder of a
// TSIG key, all of it in one transaction. Its prerequisites are compared with everything that the
// site serves. Only records of operators change: an update that would remove the name of a machine
// or a lease is refused, and so is an update of a zone that is not a domain. Reverse names change
// likewise where a subnet's reverse zone is a domain. It returns the response code and, unless that
// is success, mostly the reason.
//
// Plan returns the data that DNS servers serve for a model. Callers pass plan.DNS: this package
// cannot import its plans.
func (inv *Inventory) DynamicUpdate(ctx context.Context, key string, message []byte, plan func(*Model) DNSPlan) (rcode int, err error) {
	zone, names := dnssrv.UpdatedNames(message)
	ctx = As(ctx, Actor{User: "key " + canonicalKey(key), Doing: func() string { return "DNS update of " + zone }})
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		m, domain, err := inv.modelOfNames(ctx, tx, zone, names)
		if err != nil {
			return err
		}
		served, err := inv.planOfNames(plan(m), m, zone, names)
		if err != nil {
			return err
		}
		var sets []dnssrv.RRset
		if sets, rcode, err = served.preview(key, message); err != nil || rcode != rcodeSuccess {
			return err
		}
		if domain.ID == 0 {
			return invalid(kinds.Domain, zone, "allow_update", "does not reach the zone: it is no domain's")
		}
		ours := slices.DeleteFunc(m.Records, func(r DNSRecord) bool { return r.DomainID != domain.ID })
		return inv.setRecords(ctx, tx, domain, recordChange{sets, served.Sets, ours})
	})
	refused := (*InvalidError)(nil)
	switch {
	case errors.As(err, &refused):
		return rcodeRefused, err
	case err != nil:
		return rcodeFailed, err
	}
	return rcode, nil
}

// modelOfNames reads as much of the site as decides about names of a zone, and the zone's domain;
// that is zero if it is none's. Addresses that are reserved without a name are not looked for by
// the name that is made up for them.
func (inv *Inventory) modelOfNames(ctx context.Context, tx *store.Tx, zone string, names []string) (m *Model, domain Domain, err error) {
	m = new(Model)
	var all []settingRow
	err = errors.Join(into(ctx, tx, domains, &m.Domains), into(ctx, tx, subnets, &m.Subnets), into(ctx, tx, racks, &m.Racks),
		into(ctx, tx, tsigKeys, &m.TSIGKeys), into(ctx, tx, settings, &all))
	if err != nil {
		return nil, domain, err
	}
	m.Settings = make(map[string]string, len(all))
	for _, s := range all {
		m.Settings[s.name] = s.value
	}
	if i := slices.IndexFunc(m.Domains, func(d Domain) bool { return d.Name == zone }); i >= 0 {
		domain = m.Domains[i]
	}
	if len(names) == 0 {
		return m, domain, nil
	}
	return m, domain, m.readNames(ctx, tx, domain, names)
}

// readNames reads the records with these names of a domain, and the objects that have one of the
// names or its address.
func (m *Model) readNames(ctx context.Context, tx *store.Tx, d Domain, names []string) error {
	relative, hosts, addrs := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, name := range names {
		relative[relativeTo(name, d.Name)] = true
		labels := strings.SplitN(name, ".", 3) // of a machine, or of one of its interfaces
		hosts[labels[0]] = true
		if len(labels) > 1 {
			hosts[labels[1]] = true
		}
		if addr, ok := addrOfReverse(name); ok {
			addrs[addr.String()] = true
		}
	}
	list, args := inStrings(relative)
	where, args := "domain_id = ? AND name IN "+list, append([]any{d.ID}, args...)
	if len(addrs) > 0 { // a reverse record may follow from them
		list, more := inStrings(addrs)
		where, args = where+" OR type IN ('A', 'AAAA') AND lower(data) IN "+list, append(args, more...)
	}
	var err error
	if m.Records, err = records.list(ctx, tx, where, args...); err != nil {
		return err
	}
	return m.readHolders(ctx, tx, hosts, addrs)
}

// readHolders reads the objects with one of these host names or addresses, and the objects whose
// names those have: a machine's claim goes before others.
func (m *Model) readHolders(ctx context.Context, tx *store.Tx, hosts, addrs map[string]bool) (err error) {
	inAddrs, atAddrs := inStrings(addrs)
	orphans, err := orphansWhere(ctx, tx, " AND ip IN "+inAddrs, atAddrs...)
	if err != nil {
		return err
	}
	for _, s := range orphans {
		if s.Hostname != "" {
			hosts[s.Hostname] = true
		}
	}
	for _, r := range m.Racks {
		hosts[strings.ToLower(r.Name)] = true
	}
	inHosts, args := inStrings(hosts)
	args = append(args, atAddrs...)
	where := "n.hostname IN " + inHosts + " OR n.id IN (SELECT i.node_id FROM interface i JOIN allocation a ON a.interface_id = i.id WHERE a.ip IN " + inAddrs + ")"
	machines, err := nodesWhere(ctx, tx, kinds.Machine, where, args...)
	if err != nil {
		return err
	}
	devices, err := nodesWhere(ctx, tx, kinds.Device, where, args...)
	if err != nil {
		return err
	}
	m.Machines, m.Devices = each(machines, func(n node) Machine { return n.Machine }), each(devices, node.device)
	m.Orphans, err = orphansWhere(ctx, tx, " AND (hostname IN "+inHosts+" OR ip IN "+inAddrs+")", args...)
	return err
}

// inStrings is a set for IN of SQL.
func inStrings(set map[string]bool) (string, []any) {
	args := make([]any, 0, len(set))
	for s := range set {
		args = append(args, s)
	}
	if len(args) == 0 {
		return "(NULL)", nil
	}
	return "(?" + strings.Repeat(", ?", len(args)-1) + ")", args
}

// planOfNames keeps of a plan the zone, the zones around and below it, and the sets of the names,
// and adds the keys.
func (inv *Inventory) planOfNames(plan DNSPlan, m *Model, zone string, names []string) (DNSPlan, error) {
	var err error
	if plan.Access.Keys, err = inv.DNSKeys(m); err != nil {
		return plan, err
	}
	plan.Zones = slices.DeleteFunc(plan.Zones, func(z dnssrv.Zone) bool {
		return z.Name != zone && !strings.HasSuffix(z.Name, "."+zone) && !strings.HasSuffix(zone, "."+z.Name)
	})
	within := func(name string) bool {
		return slices.ContainsFunc(plan.Zones, func(z dnssrv.Zone) bool { return name == z.Name || strings.HasSuffix(name, "."+z.Name) })
	}
	plan.Sets = slices.DeleteFunc(plan.Sets, func(s dnssrv.RRset) bool { return !slices.Contains(names, s.Name) || !within(s.Name) })
	return plan, nil
}

// preview returns the result of an update on a DNS server that serves the plan.
func (p DNSPlan) preview(key string, message []byte) ([]dnssrv.RRset, int, error) {
	server := dnssrv.New(dnssrv.Config{})
	if err := server.SetAccess(p.Access); err != nil {
		return nil, rcodeFailed, err
	}
	if err := server.Update(dnssrv.Change{Zones: p.Zones, Set: p.Sets}); err != nil {
		return nil, rcodeFailed, err
	}
	sets, rcode := server.Preview(key, message)
	return sets, rcode, nil
}

// recordChange holds the wanted sets, the present sets, and the records in those.
type recordChange struct {
	want, have []dnssrv.RRset
	records    []DNSRecord
}

// setRecords changes a domain's records until the sets are as wanted. Deletions come first: they
// may make room for what is added.
func (inv *Inventory) setRecords(ctx context.Context, tx *store.Tx, d Domain, c recordChange) error {
	var fresh []DNSRecord
	for _, want := range c.want {
		rows, others, err := c.partsOf(want, d.Name)
		if err != nil {
			return err
		}
		for _, data := range others {
			if !slices.Contains(want.Data, data) {
				return invalid(kinds.Record, want.Name, "rrdata", want.Type+" "+data+" belongs to a machine, a device, a rack or a lease")
			}
		}
		for data, same := range rows {
			for _, row := range same {
				switch {
				case !slices.Contains(want.Data, data):
					err = records.delete(ctx, tx, row.ID)
				case row.TTL != int(want.TTL):
					row.TTL = int(want.TTL)
					if row, err = checkAlone(row, d); err == nil { // those beside it change with it
						err = records.update(ctx, tx, &row)
					}
				}
				if err != nil {
					return err
				}
			}
		}
		for _, data := range want.Data {
			if _, there := rows[data]; !there && !slices.Contains(others, data) {
				fresh = append(fresh, DNSRecord{DomainID: d.ID, Name: relativeTo(want.Name, d.Name), Type: want.Type, TTL: int(want.TTL), Data: data})
			}
		}
	}
	for _, r := range fresh {
		if _, err := inv.Records.Create(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// relativeTo is the name of a record in a domain.
func relativeTo(name, domain string) string {
	name = strings.TrimSuffix(name, ".")
	if name == domain {
		return "@"
	}
	return strings.TrimSuffix(name, "."+domain)
}

// partsOf returns the records of a set by their data in the spelling of DNS servers, and the data
// from other sources. Operators may have written one datum in several spellings, so several records
// may share it.
func (c recordChange) partsOf(set dnssrv.RRset, domain string) (rows map[string][]DNSRecord, others []string, err error) {
	rows = make(map[string][]DNSRecord)
	for _, r := range c.records {
		if AbsoluteName(r.Name, domain)+"." != set.Name || r.Type != set.Type {
			continue
		}
		n, err := normal(r, domain)
		if err != nil {
			return nil, nil, err
		}
		rows[n.Data[0]] = append(rows[n.Data[0]], r)
	}
	for _, s := range c.have {
		n, err := s.Normal()
		if err != nil {
			return nil, nil, fmt.Errorf("inventory: %w", err)
		}
		if n.Name != set.Name || n.Type != set.Type {
			continue
		}
		for _, data := range n.Data {
			if _, ours := rows[data]; !ours {
				others = append(others, data)
			}
		}
	}
	return rows, others, nil
}

// normal is a record as DNS servers write it.
func normal(r DNSRecord, domain string) (dnssrv.RRset, error) {
	return dnssrv.RRset{Name: AbsoluteName(r.Name, domain), Type: r.Type, Data: []string{QualifiedData(r, domain)}}.Normal()
}

// DNSPlan holds the data that DNS servers serve.
type DNSPlan struct {
	Zones      []dnssrv.Zone  // in order of name
	Sets       []dnssrv.RRset // in order of name, type and Learned; data sorted
	Forwarding dnssrv.Forwarding
	Access     dnssrv.Access
}

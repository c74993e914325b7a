package inventory

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// LeaseState is the state of a lease.
type LeaseState string

// The states of leases.
const (
	LeaseActive   LeaseState = "active"
	LeaseExpired  LeaseState = "expired"  // it has ended and is forgotten soon
	LeaseReserved LeaseState = "reserved" // the address is kept for the client, which need not use it
)

// Lease is an address or a delegated prefix that a client has from DHCP, or an address that DHCP
// keeps for it.
type Lease struct {
	Addr     netip.Addr
	Bits     int              // length of the prefix that begins with Addr; 0 = Addr alone
	MAC      net.HardwareAddr // nil = the client of a prefix has none
	ClientID string           // of the client of a prefix: its DUID in hexadecimal
	Hostname string           // as the client gave it; "" = none
	SubnetID int64
	// Node, SystemID and FQDN are those of the machine or device that has the MAC; 0 = there is
	// none.
	Node           int64
	SystemID, FQDN string
	State          LeaseState
	Began          time.Time // zero = unknown
	Expires        time.Time // zero = no end
}

// LeaseFilter says which leases are wanted. The zero value means all.
type LeaseFilter struct {
	Addr     netip.Addr       // leased by itself or in a prefix; zero = any, as for the other fields
	SubnetID int64            // 0 = in any
	MAC      net.HardwareAddr // nil = of any
	Name     string           // a part of the client's name, or of that of its machine
	State    LeaseState       // "" = any
	// Among are the first addresses of the leases. If nil, any.
	Among []netip.Addr
	// Words are each a part of the address, the MAC or a name, in any case. If nil, any.
	Words []string
	// Prefixes leaves out leases of single addresses.
	Prefixes bool
}

// Find returns leases in order of address. Leases of reserved addresses are known to racks alone:
// here they are reserved whether the client uses them or not.
func (ls *Leases) Find(ctx context.Context, f LeaseFilter) (all []Lease, err error) {
	err = ls.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		var kept []Lease
		if !f.Prefixes {
			if all, err = leasesOf(ctx, tx, f); err != nil {
				return err
			}
			if kept, err = keptAddresses(ctx, tx, f, all); err != nil {
				return err
			}
		}
		lent, err := leasedPrefixes(ctx, tx, f)
		all = append(append(all, kept...), lent...)
		return err
	})
	all = slices.DeleteFunc(all, func(l Lease) bool { return !f.wants(l) })
	slices.SortFunc(all, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	return all, err
}

// wants is for what the queries do not look at.
func (f LeaseFilter) wants(l Lease) bool {
	name := strings.ToLower(f.Name)
	return (f.State == "" || f.State == l.State) &&
		(name == "" || strings.Contains(strings.ToLower(l.Hostname), name) || strings.Contains(strings.ToLower(l.FQDN), name))
}

// where returns the condition for a table of addresses a with link addresses in the table m.
func (f LeaseFilter) where(a, m string) (string, []any) {
	where, args := "", []any(nil)
	if f.Addr.IsValid() {
		where, args = where+" AND "+a+".ip = ?", append(args, f.Addr.String())
	}
	if f.SubnetID != 0 {
		where, args = where+" AND "+a+".subnet_id = ?", append(args, f.SubnetID)
	}
	if f.MAC != nil {
		where, args = where+" AND "+m+".mac = ?", append(args, f.MAC.String())
	}
	if f.Among != nil {
		where += " AND " + a + ".ip IN (''"
		for _, addr := range f.Among {
			where, args = where+", ?", append(args, addr.String())
		}
		where += ")"
	}
	return where, args
}

// spoken returns the condition of the words for the texts of a query. The database looks for them:
// to read 20,000 leases takes longer than to look through them.
func (f LeaseFilter) spoken(texts ...string) (where string, args []any) {
	for _, word := range f.Words {
		where += " AND LOWER(" + strings.Join(texts, " || ' ' || ") + ") LIKE ? ESCAPE '!'"
		args = append(args, "%"+likeEscaper.Replace(strings.ToLower(word))+"%")
	}
	return where, args
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// leasesOf reads the addresses that clients lease, and the fixed addresses of interfaces.
func leasesOf(ctx context.Context, tx *store.Tx, f LeaseFilter) (all []Lease, err error) {
	where, args := f.where("a", "i")
	spoken, words := f.spoken("a.ip", "i.mac", "a.hostname", "COALESCE(n.hostname || '.' || d.name, '')")
	where, args = where+spoken, append(args, words...)
	query := `SELECT a.type, a.ip, i.mac, a.hostname, a.subnet_id, a.created, a.expires, COALESCE(n.id, 0), COALESCE(n.system_id, ''),
		COALESCE(n.hostname || '.' || d.name, '') FROM allocation a JOIN interface i ON i.id = a.interface_id
		LEFT JOIN node n ON n.id = i.node_id LEFT JOIN domain d ON d.id = n.domain_id
		WHERE a.ip IS NOT NULL AND i.mac <> ''` + where
	now := time.Now()
	err = tx.Query(ctx, query, args, func(scan func(...any) error) error {
		var l Lease
		var kind ipam.AllocType
		dest := []any{asInt[ipam.AllocType]{&kind}, orNull{&l.Addr}, asMAC{&l.MAC}, &l.Hostname, asRef{&l.SubnetID}, asTime{&l.Began}, asTime{&l.Expires}, &l.Node, &l.SystemID, &l.FQDN}
		if err := scan(dest...); err != nil {
			return err
		}
		switch {
		case kind != ipam.AllocDiscovered:
			l.State = LeaseReserved
		case !l.Expires.IsZero() && l.Expires.Before(now):
			l.State = LeaseExpired
		default:
			l.State = LeaseActive
		}
		all = append(all, l)
		return nil
	})
	return all, err
}

// leasedPrefixes reads the delegated prefixes from the history: no machine has an address of one.
func leasedPrefixes(ctx context.Context, tx *store.Tx, f LeaseFilter) (all []Lease, err error) {
	where, args := "", []any(nil)
	if f.Addr.IsValid() {
		condition, values, err := holding(ctx, tx, f.Addr)
		if err != nil {
			return nil, err
		}
		where, args = " AND "+condition, values
	}
	if f.SubnetID != 0 {
		where, args = where+" AND s.id = ?", append(args, f.SubnetID)
	}
	if f.MAC != nil {
		where, args = where+" AND h.mac = ?", append(args, f.MAC.String())
	}
	if f.Among != nil {
		_, among := LeaseFilter{Among: f.Among}.where("h", "h")
		where, args = where+" AND h.ip IN (''"+strings.Repeat(", ?", len(among))+")", append(args, among...)
	}
	spoken, words := f.spoken("h.ip", "h.mac", "h.client_id", "h.hostname", "COALESCE(n.hostname || '.' || d.name, '')")
	where, args = where+spoken, append(args, words...)
	query := `SELECT h.ip, h.bits, h.mac, h.client_id, h.hostname, COALESCE(s.id, 0), h.began, h.expires, COALESCE(n.id, 0), COALESCE(n.system_id, ''),
		COALESCE(n.hostname || '.' || d.name, '') FROM lease_history h LEFT JOIN subnet s ON s.prefix = h.subnet LEFT JOIN node n ON n.id =
			(SELECT i.node_id FROM interface i WHERE h.mac <> '' AND i.mac = h.mac AND i.node_id IS NOT NULL ORDER BY i.id LIMIT 1)
		LEFT JOIN domain d ON d.id = n.domain_id WHERE h.bits > 0 AND h.ended = 0` + where
	now := time.Now()
	err = tx.Query(ctx, query, args, func(scan func(...any) error) error {
		l := Lease{State: LeaseActive}
		dest := []any{asText{&l.Addr}, &l.Bits, asMAC{&l.MAC}, &l.ClientID, &l.Hostname, &l.SubnetID, asTime{&l.Began}, asTime{&l.Expires}, &l.Node, &l.SystemID, &l.FQDN}
		if err := scan(dest...); err != nil {
			return err
		}
		if !l.Expires.IsZero() && l.Expires.Before(now) {
			l.State = LeaseExpired
		}
		all = append(all, l)
		return nil
	})
	return all, err
}

// keptAddresses reads the reserved IPs of which no client has a lease.
func keptAddresses(ctx context.Context, tx *store.Tx, f LeaseFilter, leased []Lease) (all []Lease, err error) {
	taken := make(map[netip.Addr]bool, len(leased))
	for _, l := range leased {
		taken[l.Addr] = true
	}
	where, args := f.where("r", "r")
	spoken, words := f.spoken("r.ip", "r.mac", "COALESCE(n.hostname || '.' || d.name, '')")
	where, args = where+spoken, append(args, words...)
	query := `SELECT r.ip, r.mac, r.subnet_id, COALESCE(n.id, 0), COALESCE(n.system_id, ''), COALESCE(n.hostname || '.' || d.name, '')
		FROM reserved_ip r LEFT JOIN node n ON n.id =
			(SELECT i.node_id FROM interface i WHERE i.mac = r.mac AND i.node_id IS NOT NULL ORDER BY i.id LIMIT 1)
		LEFT JOIN domain d ON d.id = n.domain_id WHERE 1 = 1` + where
	err = tx.Query(ctx, query, args, func(scan func(...any) error) error {
		l := Lease{State: LeaseReserved}
		err := scan(asText{&l.Addr}, asMAC{&l.MAC}, &l.SubnetID, &l.Node, &l.SystemID, &l.FQDN)
		if err == nil && !taken[l.Addr] {
			all = append(all, l)
		}
		return err
	})
	return all, err
}

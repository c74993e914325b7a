package inventory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/store"
)

// LeasePeriod is the time for which a client had an address, or a delegated prefix, from DHCP.
type LeasePeriod struct {
	ID       int64
	Subnet   netip.Prefix // as it was then
	Addr     netip.Addr
	Bits     int              // length of the prefix that begins with Addr; 0 = Addr alone
	MAC      net.HardwareAddr // nil = the client of a prefix has none
	ClientID string           // option 61, or the DUID of IPv6, in hexadecimal; "" = none
	Hostname string           // as the client gave it; "" = none
	Began    time.Time
	Expires  time.Time // when it runs out, or would have; zero = no end
	Ended    time.Time // zero = it has not
	// How it ended: "released", "expired", "declined", or "replaced" if another client had the
	// address next and no end was reported. "" = it has not.
	How string
}

// periodBounds bound what the database keeps of leases, in rows.
type periodBounds struct {
	keep  int64
	trim  int64 // rows between two removals of old ones
	notes int   // events about leases
}

var defaultBounds = periodBounds{keep: 200_000, trim: 1024, notes: 50_000}

// Ends that racks did not report: of a lease that another client's lease shows to be over, and of
// one that ran out.
const (
	endReplaced = "replaced"
	endExpired  = "expired"
)

var periods = table[LeasePeriod]{
	kind: "lease history", name: "lease_history",
	cols: []string{"subnet", "ip", "mac", "client_id", "hostname", "began", "expires", "ended", "how", "bits"},
	id:   func(p *LeasePeriod) *int64 { return &p.ID },
	fields: func(p *LeasePeriod) []any {
		return []any{asText{&p.Subnet}, asText{&p.Addr}, asMAC{&p.MAC}, &p.ClientID, &p.Hostname,
			asTime{&p.Began}, asTime{&p.Expires}, asTime{&p.Ended}, &p.How, &p.Bits}
	},
}

// what returns the address or the prefix as text.
func (p *LeasePeriod) what() string {
	if p.Bits == 0 {
		return p.Addr.String()
	}
	return netip.PrefixFrom(p.Addr, p.Bits).String()
}

// of reports whether a fact is about the client and the prefix length of a period.
func (p *LeasePeriod) of(f LeaseFact) bool {
	return bytes.Equal(p.MAC, f.MAC) && p.Bits == f.Bits && (len(f.MAC) > 0 || p.ClientID == f.ClientID)
}

// note brings the history up to a fact. Facts of two racks arrive in any order, and more than once.
func (b *leaseBatch) note(f subnetFact) {
	last, next := b.around(f.Addr, f.Time)
	same := last != nil && last.of(f.LeaseFact)
	switch {
	case f.Ended && same:
		b.noteEnd(last, f.LeaseFact)
	case f.Ended:
	case same && (!last.endedBy(f.Time) || last.continues(f.LeaseFact)):
		b.extend(last, f.LeaseFact)
	case same && !last.Ended.IsZero() && !f.Time.After(last.Ended):
	default:
		b.noteBegin(f, last, next)
	}
}

// around returns the last period of an address that began by a time, and the next one; nil = none.
func (b *leaseBatch) around(a netip.Addr, t time.Time) (last, next *periodRow) {
	all := b.history[a]
	i := slices.IndexFunc(all, func(p *periodRow) bool { return p.Began.After(t) })
	if i < 0 {
		i = len(all)
	} else {
		next = all[i]
	}
	if i > 0 {
		last = all[i-1]
	}
	return last, next
}

// changed has a period written.
func (b *leaseBatch) changed(p *periodRow) {
	if !p.dirty {
		p.dirty = true
		b.periods = append(b.periods, p)
	}
}

// endedBy reports whether a period is over at a time, be it that no rack reported its end.
func (p *LeasePeriod) endedBy(t time.Time) bool {
	return !p.Ended.IsZero() && !t.Before(p.Ended) || p.Ended.IsZero() && !p.Expires.IsZero() && p.Expires.Before(t)
}

// guessed reports whether the end of a period was not reported by a rack.
func (p *LeasePeriod) guessed() bool { return p.How == endReplaced || p.How == endExpired }

// continues reports whether a fact shows that a period went on, though its renewals were not
// reported: the rack knows when the lease began.
func (p *LeasePeriod) continues(f LeaseFact) bool {
	return (p.Ended.IsZero() || p.How == endExpired) && !f.Began.IsZero() && !f.Began.After(p.Began)
}

func (b *leaseBatch) noteEnd(last *periodRow, f LeaseFact) {
	// What was closed for want of a report, and too late, is corrected.
	if !last.Ended.IsZero() && (!last.guessed() || !f.Time.Before(last.Ended)) {
		return
	}
	fresh := last.Ended.IsZero()
	last.Ended, last.How = f.Time, cmp.Or(f.How, endExpired)
	b.changed(last)
	if fresh {
		b.tell(f, fmt.Sprintf("lease of %s by %s %s", last.what(), last.client(), last.How))
	}
}

func (b *leaseBatch) noteBegin(f subnetFact, last, next *periodRow) {
	p := &periodRow{LeasePeriod: LeasePeriod{
		Subnet: f.subnet.Prefix, Addr: f.Addr, Bits: f.Bits, MAC: f.MAC, ClientID: f.ClientID, Hostname: f.Hostname, Began: f.Time, Expires: f.Expires,
	}}
	// A rack that reports all leases after its start knows when each began.
	if !f.Began.IsZero() && f.Began.Before(f.Time) {
		p.Began = f.Began
	}
	if last != nil && last.Ended.IsZero() {
		last.Ended, last.How = f.Time, endReplaced
		if !last.Expires.IsZero() && last.Expires.Before(f.Time) {
			last.Ended, last.How = last.Expires, endExpired
		}
		b.changed(last)
	}
	if last != nil && p.Began.Before(last.Ended) {
		p.Began = last.Ended
	}
	// A late report of a lease that was followed by another one.
	if next != nil {
		if next.of(f.LeaseFact) {
			return // its own renewal, known already
		}
		p.Ended, p.How = next.Began, endReplaced
		if !p.Expires.IsZero() && p.Expires.Before(p.Ended) {
			p.Ended, p.How = p.Expires, endExpired
		}
	}
	all := b.history[p.Addr]
	i := slices.IndexFunc(all, func(q *periodRow) bool { return q.Began.After(p.Began) })
	if i < 0 {
		i = len(all)
	}
	b.history[p.Addr] = slices.Insert(all, i, p)
	b.changed(p)
	if p.Ended.IsZero() {
		b.tell(f.LeaseFact, fmt.Sprintf("%s leased to %s", p.what(), p.client()))
	}
}

// client returns the client as text, with the name that it gave.
func (p *LeasePeriod) client() string {
	who := cmp.Or(p.MAC.String(), "client "+p.ClientID)
	if p.Hostname == "" {
		return who
	}
	return who + " (" + p.Hostname + ")"
}

func (ls *Leases) insertPeriod(ctx context.Context, tx *store.Tx, p *LeasePeriod) error {
	const query = `INSERT INTO lease_history (subnet, ip, mac, client_id, hostname, began, expires, ended, how, bits)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`
	id, err := tx.Insert(ctx, query, periods.fields(p)...)
	if err != nil || id%ls.bounds.trim != 0 {
		return err
	}
	// IDs ascend, so the bound needs no count.
	if _, err := tx.Exec(ctx, "DELETE FROM lease_history WHERE id <= ?", id-ls.bounds.keep); err != nil {
		return err
	}
	// Events about leases have a bound of their own: they are many, and those of machines are to
	// outlive them.
	const notes = `DELETE FROM event WHERE level = 'debug' AND id <=
		(SELECT id FROM event WHERE level = 'debug' ORDER BY id DESC LIMIT 1 OFFSET ?)`
	_, err = tx.Exec(ctx, notes, ls.bounds.notes)
	return err
}

// extend is for a renewal. It opens a period again that was closed for want of its report.
func (b *leaseBatch) extend(p *periodRow, f LeaseFact) {
	if !p.Ended.IsZero() && !p.continues(f) || !f.Expires.After(p.Expires) {
		return
	}
	p.Expires, p.Ended, p.How = f.Expires, time.Time{}, ""
	p.Hostname, p.ClientID = cmp.Or(f.Hostname, p.Hostname), cmp.Or(f.ClientID, p.ClientID)
	b.changed(p)
}

// tell adds an event about a lease.
func (b *leaseBatch) tell(f LeaseFact, text string) {
	if f.Quiet {
		return
	}
	e := Event{Time: f.Time, Kind: "lease", Level: "debug", Description: text}
	for _, i := range b.byMAC[f.MAC.String()] { // none without a MAC
		if i.NodeID != 0 {
			e.NodeID = i.NodeID
			break
		}
	}
	b.notes = append(b.notes, e)
}

// closeExpired closes the periods of leases that ran out without a report of it.
func closeExpired(ctx context.Context, tx *store.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, "UPDATE lease_history SET ended = expires, how = ? WHERE ended = 0 AND expires <> 0 AND expires < ?", endExpired, now.UnixMicro())
	return err
}

// PeriodFilter says which periods are wanted. The zero value means all.
type PeriodFilter struct {
	Addr  netip.Addr       // leased by itself or in a prefix; zero = any, as for the other fields
	MAC   net.HardwareAddr // nil = of any
	At    time.Time        // zero = at any time
	Limit int              // 0 = 100
}

// History returns who had which addresses when, the latest period first. It reaches back for
// 200,000 periods.
func (ls *Leases) History(ctx context.Context, f PeriodFilter) (all []LeasePeriod, err error) {
	err = ls.inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = historyOf(ctx, tx, f)
		return err
	})
	return all, err
}

// holding returns the condition that a period is of an address, or of a prefix that contains it.
func holding(ctx context.Context, tx *store.Tx, a netip.Addr) (where string, args []any, err error) {
	where, args = "bits = 0 AND ip = ?", []any{a.String()}
	if !a.Is6() {
		return where, args, nil
	}
	err = tx.Query(ctx, "SELECT DISTINCT bits FROM lease_history WHERE bits > 0", nil, func(scan func(...any) error) error {
		var bits int
		if err := scan(&bits); err != nil {
			return err
		}
		where, args = where+" OR bits = ? AND ip = ?", append(args, bits, netip.PrefixFrom(a, bits).Masked().Addr().String())
		return nil
	})
	return "(" + where + ")", args, err
}

func historyOf(ctx context.Context, tx *store.Tx, f PeriodFilter) (all []LeasePeriod, err error) {
	where, args := "1 = 1", []any{}
	add := func(condition string, values ...any) { where, args = where+" AND "+condition, append(args, values...) }
	if f.Addr.IsValid() {
		condition, values, err := holding(ctx, tx, f.Addr)
		if err != nil {
			return nil, err
		}
		add(condition, values...)
	}
	if f.MAC != nil {
		add("mac = ?", f.MAC.String())
	}
	if !f.At.IsZero() {
		at := f.At.UnixMicro()
		add("began <= ? AND (ended > ? OR ended = 0 AND (expires = 0 OR expires > ?))", at, at, at)
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	all, err = periods.list(ctx, tx, "id IN (SELECT id FROM lease_history WHERE "+where+" ORDER BY began DESC, id DESC LIMIT ?)", append(args, f.Limit)...)
	slices.SortStableFunc(all, func(a, b LeasePeriod) int { return b.Began.Compare(a.Began) })
	return all, err
}

// HistoryBegins returns the start of the oldest period of the history; zero = it is empty.
func (ls *Leases) HistoryBegins(ctx context.Context) (t time.Time, err error) {
	all, err := listIn(ctx, ls.inv, periods, "id = (SELECT MIN(id) FROM lease_history)")
	if len(all) > 0 {
		t = all[0].Began
	}
	return t, err
}

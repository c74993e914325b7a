package region

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// takeFacts records the facts of a rack in one transaction. A fact that cannot be read, or breaks a
// rule of the inventory, is set aside and counts as taken: it would be refused each time, and the
// facts behind it would never arrive. An error means that the database failed; the rack sends the
// facts again.
func (r *Region) takeFacts(ctx context.Context, rack string, facts []rpc.Fact) error {
	err := r.takeBatch(ctx, rack, facts)
	if err == nil {
		r.stuck.forget(rack)
		return nil
	}
	var broken *store.ConstraintError
	if ctx.Err() == nil && len(facts) > 0 && (errors.As(err, &broken) || isRefusal(err) || r.stuck.again(rack, facts[0])) {
		err = r.takeOneByOne(ctx, rack, facts)
	}
	if err != nil {
		r.log.Error("facts not recorded", "rack", rack, "count", len(facts), "err", err)
	}
	return err
}

// Facts are recorded in parts that compute for a few milliseconds, with rests that are long enough
// for the scheduler to poll the sockets: in maas all on one processor the servers of the rack would
// wait for whole batches, since a busy scheduler rarely polls.
const (
	leasesInPart     = 32
	restBetweenParts = 50 * time.Microsecond
)

// takeBatch records facts in one transaction.
func (r *Region) takeBatch(ctx context.Context, rack string, facts []rpc.Fact) error {
	return r.inv.Atomically(ctx, func(ctx context.Context) error {
		fresh, err := r.onlyNew(ctx, rack, facts)
		if err != nil {
			return err
		}
		authority := r.authorityOf(rack)
		// The order is the rack's: a lease that ended and began again must end in this order.
		for len(fresh) > 0 {
			n := leasesAhead(fresh)
			if n == 0 {
				n = 1
				err = r.takeFact(ctx, authority, fresh[0])
				if isRefusal(err) {
					err = r.setAside(ctx, rack, fresh[0], err)
				}
			} else {
				err = r.takeLeases(ctx, authority, fresh[:n])
			}
			if err != nil {
				return err
			}
			if fresh = fresh[n:]; len(fresh) > 0 {
				time.Sleep(restBetweenParts)
			}
		}
		return nil
	})
}

// leasesAhead returns how many leases the facts begin with, up to a part.
func leasesAhead(facts []rpc.Fact) int {
	n := 0
	for n < min(len(facts), leasesInPart) && facts[n].Kind == dhcprpc.FactKind {
		n++
	}
	return n
}

// onlyNew removes the facts that were taken before. A rack repeats facts if the connection ended
// before their acknowledgment arrived.
func (r *Region) onlyNew(ctx context.Context, rack string, facts []rpc.Fact) ([]rpc.Fact, error) {
	// Facts without an outbox are of a sender that does not repeat them.
	if len(facts) == 0 || facts[0].Outbox == "" {
		return facts, nil
	}
	seqs := make([]uint64, len(facts))
	for i, f := range facts {
		seqs[i] = f.Seq
	}
	skip, err := r.inv.NewFacts(ctx, rack, facts[0].Outbox, seqs)
	if skip > 0 {
		r.log.Debug("repeated facts ignored", "rack", rack, "count", skip)
	}
	return facts[skip:], err
}

// isRefusal reports whether an error is about the fact. Other errors are about the database and may
// not occur the next time. A broken rule of the schema is none: an engine may end the transaction.
func isRefusal(err error) bool {
	var (
		unreadable *unreadableError
		invalid    *inventory.InvalidError
		refused    *ipam.RefusedError
		address    *ipam.InvalidError
		broken     *store.ConstraintError
		foreign    *foreignError
	)
	if errors.As(err, &broken) {
		return false
	}
	return errors.As(err, &foreign) || errors.As(err, &unreadable) || errors.As(err, &invalid) || errors.As(err, &refused) || errors.As(err, &address) ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist)
}

// unreadableError is a fact whose data is not what its kind says. Its type says so by place, since
// the decoders of times, addresses and the like have errors of no type.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return "the fact cannot be read: " + e.err.Error() }

// Unwrap returns the decoder's error.
func (e *unreadableError) Unwrap() error { return e.err }

// decode reads the data of a fact.
func decode(f rpc.Fact, into any) error {
	if err := json.Unmarshal(f.Data, into); err != nil {
		return &unreadableError{err}
	}
	return nil
}

// takeFact records one fact other than a lease, if the rack may report it. Its kind decides what
// its data is.
func (r *Region) takeFact(ctx context.Context, from *authority, f rpc.Fact) error {
	now := time.Now()
	switch f.Kind {
	case pxerpc.FactKind:
		var e pxe.Event
		if err := decode(f, &e); err != nil {
			return err
		}
		e.Time = stamped(e.Time.Add(f.Behind), now)
		if !r.boots.Take(from.rack) {
			r.refusals.Warn("boot reports dropped", "rack", from.rack)
			return nil
		}
		return r.takeBoot(ctx, from, e)
	case discoveryrpc.FactKind:
		var seen discoveryrpc.Fact
		if err := decode(f, &seen); err != nil {
			return err
		}
		return r.takeObservation(ctx, from, seen)
	}
	return nil // of a rack that is newer than this region
}

// takeLeases records facts about leases together, and sets aside those that are refused.
func (r *Region) takeLeases(ctx context.Context, from *authority, facts []rpc.Fact) error {
	var (
		now      = time.Now()
		leases   = make([]dhcprpc.Fact, len(facts))
		refusals = make([]error, len(facts))
		macs     []string
	)
	for i, f := range facts {
		if refusals[i] = decode(f, &leases[i]); refusals[i] != nil {
			continue
		}
		if mac := leases[i].HardwareAddr(); mac != nil {
			macs = append(macs, mac.String())
		}
	}
	// Facts about leases make no machine's interface, so that one look suffices for all of them.
	holders, err := r.inv.Leases.Holders(ctx, macs...)
	if err != nil {
		return err
	}
	var taken []inventory.LeaseFact
	var places []int
	for i := range facts {
		mac := leases[i].HardwareAddr()
		if refusals[i] != nil || mac == nil && leases[i].Bits == 0 {
			continue // a client without a link address, which belongs to no interface
		}
		refusals[i] = from.lease(ctx, leases[i], mac.String(), holders)
		if refusals[i] == nil {
			taken, places = append(taken, r.leaseFact(from.rack, leases[i], facts[i], now)), append(places, i)
		} else if !isRefusal(refusals[i]) {
			return refusals[i]
		}
	}
	refused, err := r.inv.Leases.RecordAll(ctx, taken)
	if err != nil {
		return err
	}
	for k, i := range places {
		refusals[i] = refused[k]
	}
	for i, why := range refusals {
		if why == nil {
			continue
		}
		if err := r.setAside(ctx, from.rack, facts[i], why); err != nil {
			return err
		}
	}
	return nil
}

// leaseFact returns what is recorded of a lease. The fact's time counts, not that of its arrival,
// which may be hours later if the rack was cut off.
func (r *Region) leaseFact(rack string, l dhcprpc.Fact, f rpc.Fact, now time.Time) inventory.LeaseFact {
	fact := inventory.LeaseFact{
		MAC: l.HardwareAddr(), Addr: l.Addr, Bits: l.Bits, Hostname: l.Hostname, ClientID: l.ClientID,
		Time: stamped(f.Time.Add(f.Behind), now), Began: shifted(l.Start, f.Behind), Expires: shifted(l.End, f.Behind),
	}
	if !l.Holds() {
		fact.Ended = true
		if slices.Contains(leaseEnds, l.Event) {
			fact.How = l.Event
		}
	}
	if len(fact.ClientID) > maxClientID {
		fact.ClientID = ""
	}
	// The lease counts in any case; only its line in the log has a rate.
	fact.Quiet = !r.leaseNotes.Take(rack)
	return fact
}

// shifted moves a time, unless it is zero.
func shifted(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}

// leaseEnds are the ways in which racks report that a lease ended.
var leaseEnds = []string{
	dhcpsrv.Expired.String(), dhcpsrv.Released.String(), dhcpsrv.ClientDeclined.String(), dhcpsrv.Conflict.String(),
}

// maxClientID bounds what is recorded of a client's ID: option 61 has up to 255 bytes, in
// hexadecimal.
const maxClientID = 510

// takeBoot enlists the machine that asked for its configuration, and logs the steps of a boot.
// Earlier steps enlist none: the first offer goes to any DHCP client with PXE options, also to one
// that boots elsewhere.
func (r *Region) takeBoot(ctx context.Context, from *authority, e pxe.Event) error {
	// Firmware asks for the size of a file before it reads it; the read itself is the step.
	if len(e.MAC) == 0 || e.Probe {
		return nil
	}
	if err := from.boot(ctx, e); err != nil {
		return err
	}
	var node int64
	m, err := r.inv.MachineByMAC(ctx, e.MAC)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case e.Stage != pxe.StageConfig || e.Claimed || err != nil && !r.strangers.take(e.Addr):
		node = m.ID
	default:
		if node, err = r.enlist(ctx, e); err != nil {
			return err
		}
	}
	if err := r.inv.Boots.Record(ctx, e); err != nil {
		return err
	}
	if e.Stage == pxe.StageConfig && !e.Claimed {
		if err := r.inv.Boots.Started(ctx, e.MAC); err != nil {
			return err
		}
	}
	if e.Stage == pxe.StageConfigured && !e.Claimed {
		if err := r.inv.Boots.Configured(ctx, e.MAC, e.Time); err != nil {
			return err
		}
	}
	// Part of the boot's steps; the log would have a line for each file name that firmware tries,
	// and for whatever a stranger asks for.
	if e.Absent || e.Stage == pxe.StageOffer || e.Stage == pxe.StageLog || node == 0 {
		return nil
	}
	if err := r.inv.Events.Add(ctx, inventory.Event{Time: e.Time, NodeID: node, Kind: "boot", Level: level(e), Description: describe(e)}); err != nil || e.Err == "" {
		return err
	}
	return r.power.noteTail(ctx, m)
}

// enlist returns the machine that a boot is of, made if the site has none.
func (r *Region) enlist(ctx context.Context, e pxe.Event) (int64, error) {
	want := inventory.Enlistment{MAC: e.MAC, Arch: architecture(e.Arch), Firmware: firmwareOf(e), UUID: e.UUID}
	if s, err := r.inv.SubnetFor(ctx, e.Addr); err == nil {
		want.VLANID = s.VLANID
	}
	m, created, err := r.inv.Enlist(ctx, want)
	if errors.Is(err, fs.ErrNotExist) { // the site enlists no machines
		return 0, nil
	}
	if err != nil || !created {
		return m.ID, err
	}
	r.log.Info("machine enlisted", "machine", m.FQDN, "mac", e.MAC.String(), "firmware", m.Firmware, "arch", m.Architecture)
	text := fmt.Sprintf("%s enlisted: %s, %s, firmware %s", m.FQDN, e.MAC, m.Architecture, m.Firmware)
	return m.ID, r.inv.Events.Add(ctx, inventory.Event{Time: e.Time, NodeID: m.ID, Kind: "machine", Description: text})
}

// Machines that one address enlists: one, as a rule, and a few where machines take turns at it.
// More are made up.
var (
	enlistsOfOne = bounds.Rate{Burst: 16, Every: time.Minute}
	enlistsOfAll = bounds.Rate{Burst: 5000, Every: 100 * time.Millisecond}
)

// bootsOfRack bounds what one rack reports of boots. A rack that was cut off reports all that its
// outbox holds at once.
var bootsOfRack = bounds.Rate{Burst: 100_000, Every: 2 * time.Millisecond}

// leaseNotesOfRack bounds the events about the leases of one rack.
var leaseNotesOfRack = bounds.Rate{Burst: 10_000, Every: 10 * time.Millisecond}

// refusalLines bounds the log lines about facts that are refused.
var refusalLines = bounds.Rate{Burst: 100, Every: time.Second}

// maxRackRates bounds the racks that are known by their rate.
const maxRackRates = 4096

// enlistSources bounds the addresses that are known by their rate.
const enlistSources = 16_384

// strangers bounds how many machines are enlisted.
type strangers struct {
	each *bounds.Buckets[netip.Prefix]
	all  *bounds.Bucket
}

func newStrangers() strangers {
	return strangers{bounds.NewBuckets[netip.Prefix](enlistsOfOne, enlistSources), bounds.NewBucket(enlistsOfAll)}
}

// take reports whether an address may enlist one more machine.
func (s strangers) take(addr netip.Addr) bool {
	return (!addr.IsValid() || s.each.Take(bounds.Source(addr))) && s.all.Take()
}

// architecture returns MAAS' name of an architecture; "" if the firmware did not send one.
func architecture(a firmware.Arch) string {
	if a == firmware.ArchUnknown {
		return ""
	}
	return a.String() + "/generic"
}

// firmwareOf returns the kind of firmware and the boot method, such as "bios-ipxe" or
// "uefi-amd64-pxe"; the method alone if the kind is unknown.
func firmwareOf(e pxe.Event) string {
	if e.Method == "" || e.Arch == firmware.ArchUnknown {
		return e.Method
	}
	kind := e.Arch.String()
	switch {
	case e.Arch == firmware.ArchBIOS:
		kind = "bios"
	case e.Arch.UEFI():
		kind = "uefi"
	}
	// Methods such as uefi-amd64-pxe contain the kind already.
	if strings.HasPrefix(e.Method, kind) {
		return e.Method
	}
	return kind + "-" + e.Method
}

func level(e pxe.Event) string {
	if e.Err != "" {
		return "warning"
	}
	return "info"
}

// describe returns one line about a request.
func describe(e pxe.Event) string {
	text := fmt.Sprintf("%s: %s by %s, %d bytes in %v", e.Stage, e.Path, e.Proto, e.Bytes, e.Duration.Round(time.Millisecond))
	if e.BlockSize > 0 {
		text += fmt.Sprintf(", block size %d, window %d, %d sent again", e.BlockSize, e.WindowSize, e.Retransmits)
	}
	if e.Err != "" {
		text += ": " + e.Err
	}
	return text
}

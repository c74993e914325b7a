package region

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
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
	if ctx.Err() == nil && len(facts) > 0 && (errors.As(err, &broken) || r.stuck.again(rack, facts[0])) {
		err = r.takeOneByOne(ctx, rack, facts)
	}
	if err != nil {
		r.log.Error("facts not recorded", "rack", rack, "count", len(facts), "err", err)
	}
	return err
}

// takeBatch records facts in one transaction.
func (r *Region) takeBatch(ctx context.Context, rack string, facts []rpc.Fact) error {
	return r.inv.Atomically(ctx, func(ctx context.Context) error {
		fresh, err := r.onlyNew(ctx, rack, facts)
		if err != nil {
			return err
		}
		authority := r.authorityOf(rack)
		// The order is the rack's: a lease that ended and began again must end in this order.
		for _, f := range fresh {
			if err := r.takeFact(ctx, authority, f); isRefusal(err) {
				if err := r.setAside(ctx, rack, f, err); err != nil {
					return err
				}
			} else if err != nil {
				return err
			}
		}
		return nil
	})
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

// takeFact records one fact, if the rack may report it. Its kind decides what its data is.
func (r *Region) takeFact(ctx context.Context, from *authority, f rpc.Fact) error {
	now := time.Now()
	switch f.Kind {
	case dhcprpc.FactKind:
		var lease dhcprpc.Fact
		if err := decode(f, &lease); err != nil {
			return err
		}
		return r.takeLease(ctx, from, lease, stamped(f.Time, now))
	case pxerpc.FactKind:
		var e pxe.Event
		if err := decode(f, &e); err != nil {
			return err
		}
		e.Time = stamped(e.Time, now)
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

// takeLease records a lease. The fact's time counts, not that of its arrival, which may be hours
// later if the rack was cut off.
func (r *Region) takeLease(ctx context.Context, from *authority, l dhcprpc.Fact, at time.Time) error {
	mac := l.HardwareAddr()
	if mac == nil {
		return nil // a client without a link address, which belongs to no interface
	}
	what := fmt.Sprintf("a lease of %s by %s", l.Addr, mac)
	if err := from.address(ctx, l.Addr, what); err != nil {
		return err
	}
	if err := from.client(ctx, mac.String(), what); err != nil {
		return err
	}
	return r.inv.Leases.Record(ctx, inventory.LeaseFact{
		MAC: mac, Addr: l.Addr, Hostname: l.Hostname, Time: at, Expires: l.End, Ended: !l.Holds(),
	})
}

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
	// Part of the boot's steps; the log would have a line for each file name that firmware tries,
	// and for whatever a stranger asks for.
	if e.Absent || e.Stage == pxe.StageOffer || node == 0 {
		return nil
	}
	return r.inv.Events.Add(ctx, inventory.Event{Time: e.Time, NodeID: node, Kind: "boot", Level: level(e), Description: describe(e)})
}

// enlist returns the machine that a boot is of, made if the site has none.
func (r *Region) enlist(ctx context.Context, e pxe.Event) (int64, error) {
	want := inventory.Enlistment{MAC: e.MAC, Arch: architecture(e.Arch), Firmware: firmware(e), UUID: e.UUID}
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
func architecture(a pxe.Arch) string {
	if a == pxe.ArchUnknown {
		return ""
	}
	return a.String() + "/generic"
}

// firmware returns the kind of firmware and the boot method, such as "bios-ipxe" or
// "uefi-amd64-pxe"; the method alone if the kind is unknown.
func firmware(e pxe.Event) string {
	if e.Method == "" || e.Arch == pxe.ArchUnknown {
		return e.Method
	}
	kind := e.Arch.String()
	switch {
	case e.Arch == pxe.ArchBIOS:
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

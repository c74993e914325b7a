package rack

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/loaders"
)

// leaseEvent runs for each lease change before the server answers the client, so that the name of a
// client resolves as soon as the client has its address.
func (r *Rack) leaseEvent(e dhcpsrv.Event) {
	if e.Lease.Bits == 0 { // a prefix has no name: its first address is no host's
		r.names.event(e)
	}
	if e.Partner == "" { // the failover partner reports its own changes
		r.facts.lease(e)
	}
}

// watched logs what a client takes of another server where the rack watches: where both agree, a
// change of servers changes nothing for the client.
func (r *Rack) watched(w dhcpsrv.Watched) {
	log := r.log.With("component", "dhcp", "mac", w.MAC.String(), "subnet", w.Subnet, "ip", w.Addr)
	switch {
	case w.Same():
		log.Info("lease of another server watched")
	case w.Ours.IsValid():
		log.Warn("lease of another server differs", "err", fmt.Errorf("this rack would give %v", w.Ours))
	default:
		log.Warn("lease of another server differs", "err", fmt.Errorf("this rack would give none: %v", w.Why))
	}
}

// leases returns the leases of addresses, which have names.
func (r *Rack) leases() iter.Seq[dhcpsrv.Lease] {
	return func(yield func(dhcpsrv.Lease) bool) {
		for l := range r.dhcp.Leases() {
			if l.Bits == 0 && !yield(l) {
				return
			}
		}
	}
}

// offered runs when DHCP names a boot file to a machine: in the offer and in the acknowledgement.
func (r *Rack) offered(c firmware.Client, o firmware.Offer) {
	r.clients.Remember(c)
	e := pxe.Offered(o, c, time.Now())
	r.trials.Saw(e)
	r.followLog(e)
	r.facts.boot(e)
	r.boots.add(e)
}

// loadersAgain is the time between two looks at the files of loaders.
const loadersAgain = 10 * time.Second

// watchLoaders reads the boot loaders, and again after a change, until ctx ends. Until the first
// reading machines get the loaders of the table of methods.
func (r *Rack) watchLoaders(ctx context.Context) error {
	from := r.cfg.Loaders
	if from == nil {
		from = pxe.DebianLoaders()
	}
	tick := time.NewTicker(loadersAgain)
	defer tick.Stop()
	for mark := ""; ; {
		if now := loaders.Mark(from); now != mark {
			mark = now
			all := loaders.Chains(from)
			r.trials.SetChains(all)
			for _, c := range all {
				if c.Err != nil {
					r.log.Warn("boot loader not usable", "loader", c.Path, "err", c.Err)
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// booted counts a transfer and reports it to the region.
func (r *Rack) booted(e pxe.Event) {
	result := "ok"
	switch {
	case e.Err != "":
		result = "failed"
	case e.Absent:
		result = "absent"
	case e.Probe:
		result = "size"
	}
	by := []string{e.Proto, string(e.Stage), result}
	r.transfers.count.WithLabelValues(by...).Inc()
	r.transfers.bytes.WithLabelValues(by...).Add(float64(e.Bytes))
	r.transfers.took.WithLabelValues(by...).Observe(e.Duration.Seconds())
	r.retransmits.Add(uint64(e.Retransmits))
	if !r.bootFacts.take(e.Addr) {
		return
	}
	// A report has a nonce, which says more than an address. Package metadata answers no other than
	// the machine.
	if strings.HasPrefix(e.Path, pxe.MediumPath) {
		e.Claimed = false // the path cannot be guessed, and a BMC has an address of its own
	} else if e.Stage != pxe.StageRunning && e.Stage != pxe.StageMetadata && e.Stage != pxe.StageConfigured {
		e.Claimed = r.claims(e.MAC, e.Addr)
	} else if e.Claimed {
		return // or any host could end the boots of others in the timeline
	}
	r.trials.Saw(e)
	if e.Stage == pxe.StageLoader {
		e.Signed = r.trials.Signed(e.Path)
	}
	if !e.Claimed {
		r.followLog(e)
	}
	e.Body = nil // the region has no use for it
	r.facts.boot(e)
	r.boots.add(e)
}

// Rates of the boot requests that are reported to the region, of one client and of all clients: a
// boot has some hundred requests. What exceeds them is served, and not reported: strangers could
// fill the outbox, and the region's database, with requests that cost them nothing.
var (
	bootsOfOne = bounds.Rate{Burst: 1000, Every: 50 * time.Millisecond}
	bootsOfAll = bounds.Rate{Burst: 50_000, Every: 2 * time.Millisecond}
)

// bootSources bounds the clients that are known by their rate.
const bootSources = 16_384

// bootLimit bounds what is reported of boots.
type bootLimit struct {
	each *bounds.Buckets[netip.Prefix]
	all  *bounds.Bucket
}

func newBootLimit() bootLimit {
	return bootLimit{bounds.NewBuckets[netip.Prefix](bootsOfOne, bootSources), bounds.NewBucket(bootsOfAll)}
}

// take reports whether one more request of an address is reported. A client that exceeds its own
// rate takes nothing of the rate of all.
func (l bootLimit) take(addr netip.Addr) bool {
	return l.each.Take(bounds.Source(addr)) && l.all.Take()
}

// claims reports whether a client that has an address has the MAC by its word alone: the address is
// leased to another machine, or to none although the rack's DHCP gives out the addresses there.
// Behind another DHCP server the rack knows no leases, and believes the client.
func (r *Rack) claims(mac net.HardwareAddr, addr netip.Addr) bool {
	if len(mac) == 0 || !addr.IsValid() {
		return false
	}
	addr = addr.Unmap().WithZone("")
	lease, ok := r.dhcp.Lookup(addr)
	switch {
	// Loaders do not renew: the lease may have ended since.
	case len(lease.MAC) > 0 && bytes.Equal(lease.MAC, mac):
		return false
	case ok && len(lease.MAC) > 0:
		name := r.nameOf(mac) // a machine may boot by one interface and name another one
		return name == "" || name != r.nameOf(lease.MAC)
	case ok:
		return false // of a client that DHCP knows by another identity
	}
	return r.givesOut(addr)
}

// givesOut reports whether the rack's DHCP gives out the addresses of the network of an address.
func (r *Rack) givesOut(addr netip.Addr) bool {
	snap := r.snapshot.Load()
	if snap == nil {
		return false
	}
	for _, s := range snap.Subnets {
		if !s.Prefix.Contains(addr) {
			continue
		}
		mode := s.Mode
		if mode == dhcpsrv.ModeAuto {
			for _, m := range r.dhcp.Modes() {
				if m.SharedNetwork == s.SharedNetwork {
					mode = m.Mode
				}
			}
		}
		return mode == dhcpsrv.ModeServe && len(s.Pools) > 0
	}
	return false
}

// reportKey returns the key of the nonces in boot scripts. It is on disk, so that a machine that
// got its script before a restart can report after it.
func (r *Rack) reportKey() ([]byte, error) {
	const size = 32
	path := filepath.Join(r.cfg.Dir, "report.key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) == size {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, size)
	rand.Read(key) // it never fails
	// A file that a power cut or a full disk left short is made anew at the next start.
	if err := secretfile.Write(path, key); err != nil {
		r.log.Warn("key of boot reports not stored", "err", err)
	}
	return key, nil
}

// silently marks the context of an explanation, whose answers must not count as a boot.
type silently struct{}

// boots selects boot files: heard for machines, whose boots are recorded, and silent for
// explanations.
type boots struct{ heard, silent dhcpsrv.BootSelector }

// SelectBoot implements dhcpsrv.BootSelector.
func (b boots) SelectBoot(ctx context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	if ctx.Value(silently{}) != nil {
		return b.silent.SelectBoot(ctx, q)
	}
	return b.heard.SelectBoot(ctx, q)
}

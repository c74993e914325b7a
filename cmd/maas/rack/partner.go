package rack

import (
	"context"
	"iter"
	"net"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/rpc/peer"
)

// Two racks of one VLAN are failover partners: their DHCP servers exchange leases directly. Either
// one renews the leases of the other, and neither offers an address that the other has leased.

// newPeer creates the connections to the partners. A rack without an identity has no partners.
func (r *Rack) newPeer() (err error) {
	if r.cfg.Identity == nil {
		return nil
	}
	r.peer, err = peer.New(peer.Config{
		Identity: r.cfg.Identity, Refuse: r.cfg.Revoked, Partners: r.partners, Port: r.cfg.PartnerPort, Dial: r.cfg.DialRack, Log: r.log.With("component", "partner"),
		Exchange: func(ctx context.Context, name string, conn *peer.Conn) error {
			return r.dhcp.ServePartner(ctx, name, conn)
		},
	})
	return err
}

// partners returns the partners of the subnets that are served now.
func (r *Rack) partners() (out []peer.Partner) {
	snap := r.snapshot.Load()
	if snap == nil {
		return nil
	}
	for _, p := range snap.Partners {
		out = append(out, peer.Partner{Name: p.Name, Addrs: p.Addrs})
	}
	return out
}

// servePartners returns the task that keeps the partners connected.
func (r *Rack) servePartners(listeners []net.Listener) []task {
	if r.peer == nil {
		return nil
	}
	return []task{newTask("partner", func(ctx context.Context) error { return r.peer.Serve(ctx, listeners...) })}
}

// mergeTime bounds the wait of the first report of all leases for the leases of the partner. What
// this rack stored before its last stop may be out of date, and the region would show it as
// current.
const mergeTime = 15 * time.Second

// merged returns all leases after the partners have sent theirs, after mergeTime, or when ctx ends:
// a rack that is asked to stop does not wait for a partner.
func (r *Rack) merged(ctx context.Context) iter.Seq[dhcpsrv.Lease] {
	ctx, cancel := context.WithTimeout(ctx, mergeTime)
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for r.recovering() && ctx.Err() == nil {
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
	return r.dhcp.Leases()
}

// recovering reports whether a partner's leases are still awaited.
func (r *Rack) recovering() bool {
	for _, p := range r.dhcp.Partners() {
		if p.State == failover.Recovering {
			return true
		}
	}
	return false
}

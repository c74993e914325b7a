package rack

import (
	"context"
	"iter"
	"net"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/rpc/peer"
)

// Two racks of one VLAN are partners: their DHCP servers exchange leases directly, so that either one renews those of the
// other and neither gives out an address that the other has given.

// newPeer makes what connects the rack to its partners. Without an identity there are none.
func (r *Rack) newPeer() (err error) {
	if r.cfg.Identity == nil {
		return nil
	}
	r.peer, err = peer.New(peer.Config{
		Identity: r.cfg.Identity, Refuse: r.cfg.Revoked, Partners: r.partners, Port: r.cfg.PartnerPort, Log: r.log.With("component", "partner"),
		Exchange: func(ctx context.Context, name string, conn *peer.Conn) error {
			return r.dhcp.ServePartner(ctx, name, conn)
		},
	})
	return err
}

// partners are those of the subnets served now.
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

// servePartners is the task of keeping them connected.
func (r *Rack) servePartners(listeners []net.Listener) []task {
	if r.peer == nil {
		return nil
	}
	return []task{{name: "partner", run: func(ctx context.Context) error { return r.peer.Serve(ctx, listeners...) }}}
}

// mergeTime is how long the first report of all leases waits for the partner's: what this rack remembers from before it
// stopped may be out of date.
const mergeTime = 15 * time.Second

// merged returns the leases once those of the partners are among them, or when they have taken too long.
func (r *Rack) merged() iter.Seq[dhcpsrv.Lease] {
	for end := time.Now().Add(mergeTime); time.Now().Before(end) && r.recovering(); {
		time.Sleep(100 * time.Millisecond)
	}
	return r.dhcp.Leases()
}

func (r *Rack) recovering() bool {
	for _, p := range r.dhcp.Partners() {
		if p.State == dhcpsrv.Recovering {
			return true
		}
	}
	return false
}

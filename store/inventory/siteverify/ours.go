package siteverify

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe/pxedhcp"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/schema"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// rackName is the rack that serves the whole site.
const rackName = "verify"

// ours answers as the imported site does.
type ours struct{ server *dhcpsrv.Server }

// newOurs plans a document as a region does, for a rack with an address in each subnet.
func newOurs(ctx context.Context, s *site, leases []siteimport.Lease) (o *ours, err error) {
	db, err := store.Open(ctx, "memory:", schema.FS)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	inv, err := inventory.Open(ctx, db, inventory.Config{})
	if err != nil {
		return nil, err
	}
	if _, err := sitedoc.Apply(ctx, inv, s.doc, sitedoc.Options{}); err != nil {
		return nil, fmt.Errorf("siteverify: the document cannot be applied: %w", err)
	}
	m, err := inv.Model(ctx)
	if err != nil {
		return nil, err
	}
	rack := inventory.Rack{ID: 1, Name: rackName}
	// Copies: the inventory keeps the model for other readers.
	site := *m
	site.VLANs = append(site.VLANs[:0:0], m.VLANs...)
	for i := range site.VLANs {
		link := inventory.RackLink{Name: fmt.Sprintf("eth%d", i)}
		for _, sub := range m.Subnets {
			if server, ok := s.servers[sub.Prefix]; ok && sub.VLANID == site.VLANs[i].ID {
				link.Addrs = append(link.Addrs, netip.PrefixFrom(server, sub.Prefix.Bits()))
			}
		}
		rack.Links = append(rack.Links, link)
		site.VLANs[i].DHCP, site.VLANs[i].PrimaryRack = true, rackName
	}
	site.Racks = []inventory.Rack{rack}
	snapshot := plan.DHCP(&site, rack)
	kept := &dhcpsrv.MemStore{}
	batch := make([]dhcpsrv.Lease, 0, len(leases))
	for _, l := range leases {
		batch = append(batch, l.DHCP())
	}
	if err := kept.Commit(ctx, batch); err != nil {
		return nil, err
	}
	server, err := dhcpsrv.New(dhcpsrv.Config{Store: kept, Boot: pxedhcp.New(pxedhcp.Config{})})
	if err != nil {
		return nil, err
	}
	if err := server.Update(snapshot); err != nil {
		return nil, fmt.Errorf("siteverify: the plan is refused: %w", err)
	}
	return &ours{server}, nil
}

func (o *ours) ask(ctx context.Context, all []Question) ([]Answer, error) {
	out := make([]Answer, len(all))
	for i, q := range all {
		if q.six {
			first := Answer{}
			if q.after > 0 {
				first = out[q.after-1]
			}
			if q.after > 0 && !q.follows(first) {
				continue // nothing was given that could be asked for
			}
			from := netip.AddrPortFrom(q.Relay, 547)
			if reply, ok := o.server.Handle6(ctx, dhcpsrv.Packet{Data: q.packet6(uint32(i+1), first), Src: from}); ok {
				_, out[i], _ = parseAnswer6(reply.Data)
			}
			continue
		}
		reply, ok := o.server.Handle(ctx, dhcpsrv.Packet{Data: q.packet(uint32(i + 1)), Src: netip.AddrPortFrom(q.Relay, 67)})
		if ok {
			_, out[i], _ = parseAnswer(reply.Data)
		}
	}
	return out, ctx.Err()
}

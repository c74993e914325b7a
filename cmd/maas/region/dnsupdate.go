package region

import (
	"context"
	"slices"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// dynamicUpdate commits an update that a client sent to a rack's DNS server. The rack has verified
// the signature, but authority is the region's: it checks again whether the key may change these
// names. A refusal is an answer, not an error, so that the rack does not repeat the call.
func (r *Region) dynamicUpdate(ctx context.Context, key string, message []byte) (rcode int, err error) {
	if err := r.mayUpdate(ctx, rpc.CallingRack(ctx), message); err != nil {
		r.log.Warn("dynamic update refused", "rack", rpc.CallingRack(ctx), "key", key, "err", err)
		return dns.RcodeRefused, nil
	}
	rcode, err = r.inv.DynamicUpdate(ctx, key, message, plan.DNS)
	if err != nil && rcode == dns.RcodeServerFailure {
		return rcode, err
	}
	r.log.Info("dynamic update", "rack", rpc.CallingRack(ctx), "key", key, "result", dns.RcodeToString[rcode], "err", err)
	return rcode, nil
}

// mayUpdate refuses updates from a rack that does not serve the zone: it holds no key that could
// have verified them.
func (r *Region) mayUpdate(ctx context.Context, rack string, message []byte) error {
	zone, _ := dnssrv.UpdatedNames(message)
	a, err := r.inv.Enrolment.Assignment(ctx, rack)
	if err != nil {
		return err
	}
	d, err := r.inv.Domains.Find(ctx, zone)
	if err == nil && (a.Empty() || !d.ServedBy(rack)) {
		return &foreignError{rack, "an update of " + zone, "a zone of other racks"}
	}
	return nil // what is no domain is refused with its reason
}

// foreignDNS returns what a rack does with the DNS servers of others.
func (r *Region) foreignDNS(m *inventory.Model, rack inventory.Rack, keys []dnssrv.Key) (map[string][]byte, error) {
	zones := func(list []inventory.ForeignZone) (out []dnsrpc.ForeignZone) {
		for _, z := range list {
			f := dnsrpc.ForeignZone{Zone: z.Zone, Server: z.Server}
			if i := slices.IndexFunc(keys, func(k dnssrv.Key) bool { return k.Name == z.Key }); i >= 0 {
				f.Key = keys[i]
			}
			out = append(out, f)
		}
		return out
	}
	part := plan.ForeignDNSOf(m, rack)
	return dnsrpc.ForeignObjects(dnsrpc.Foreign{Update: zones(part.Update), Follow: zones(part.Follow)})
}

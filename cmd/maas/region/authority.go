package region

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/store/inventory"
)

// authority decides what one rack may report: facts about its own networks, and about machines that
// no other rack serves. The networks were given to the rack; what it says about itself does not
// count.
type authority struct {
	inv   *inventory.Inventory
	rack  string
	a     inventory.Assignment
	fresh bool // as the database has it; else as it was published last
}

// authorityOf returns the authority of a rack as of the last publication: a read for each batch of
// facts would cost more than the facts.
func (r *Region) authorityOf(rack string) *authority {
	q := &authority{inv: r.inv, rack: rack}
	if m := r.networks.Load(); m != nil {
		for _, k := range m.Racks {
			if k.Name == rack {
				q.a = m.Assignment(k)
			}
		}
	}
	return q
}

// foreignError is the refusal of a report about a network or a machine of another rack.
type foreignError struct{ rack, what, whose string }

// Error is one line: the rack, the report, and the cure if the report is right.
func (e *foreignError) Error() string {
	return fmt.Sprintf("rack %s reports %s, which is %s; if that is right, maas rack assign %s gives it the network", e.rack, e.what, e.whose, e.rack)
}

// address refuses an address outside of the rack's networks. Link-local addresses are valid on its
// own links only.
func (q *authority) address(ctx context.Context, addr netip.Addr, what string) error {
	return q.check(ctx, &foreignError{q.rack, what, "in none of its networks"}, func(a inventory.Assignment) (bool, error) {
		return addr.IsLinkLocalUnicast() && len(a.Networks) > 0 || a.Serves(addr), nil
	})
}

// client refuses a link address of a machine or device that another rack serves.
func (q *authority) client(ctx context.Context, mac string, what string) error {
	if mac == "" {
		return nil
	}
	held, err := q.inv.Leases.Holders(ctx, mac)
	if err != nil {
		return err
	}
	return q.holders(ctx, held[mac], what)
}

// holders refuses a report about interfaces of which none is on the rack's networks.
func (q *authority) holders(ctx context.Context, held []inventory.Interface, what string) error {
	return q.check(ctx, &foreignError{q.rack, what, "of a machine that another rack serves"}, func(a inventory.Assignment) (bool, error) {
		return len(held) == 0 || a.Claims(held), nil
	})
}

// lease refuses a lease of a foreign address or client. Holders has the interfaces of machines and
// devices by link address.
func (q *authority) lease(ctx context.Context, l dhcprpc.Fact, mac string, holders map[string][]inventory.Interface) error {
	what := fmt.Sprintf("a lease of %s by %s", l.Addr, cmp.Or(mac, l.ClientID))
	if l.VRF != "" {
		return &foreignError{q.rack, what, "in VRF " + l.VRF + ", while a site has the global one alone"}
	}
	if l.Bits > 0 {
		err := q.check(ctx, &foreignError{q.rack, what, "of a prefix that it does not delegate"}, func(a inventory.Assignment) (bool, error) {
			return a.Delegates(l.Addr), nil
		})
		if err != nil {
			return err
		}
	} else if err := q.address(ctx, l.Addr, what); err != nil {
		return err
	}
	return q.holders(ctx, holders[mac], what)
}

// boot refuses a boot at an address of another rack's network, or of a machine that another rack
// serves. An offer has no address of its client yet, but that of the server.
func (q *authority) boot(ctx context.Context, e pxe.Event) error {
	addr := e.Addr
	if !addr.IsValid() || addr.IsUnspecified() {
		addr = e.Server
	}
	what := fmt.Sprintf("a boot of %s at %s", e.MAC, addr)
	if addr.IsValid() {
		if err := q.address(ctx, addr.WithZone(""), what); err != nil {
			return err
		}
	}
	return q.client(ctx, e.MAC.String(), what)
}

// check runs allowed, and again for what the database has if the published networks deny: they may
// be older than what the rack was given and serves already.
func (q *authority) check(ctx context.Context, refusal error, allowed func(inventory.Assignment) (bool, error)) error {
	ok, err := allowed(q.a)
	if err != nil || ok {
		return err
	}
	if !q.fresh {
		if q.a, err = q.inv.Enrolment.Assignment(ctx, q.rack); err != nil {
			return err
		}
		q.fresh = true
		if ok, err = allowed(q.a); err != nil || ok {
			return err
		}
	}
	return refusal
}

// maxAhead is the time by which a rack's clock may be ahead of the region's. A fact from later
// would outlive all that honest racks report.
const maxAhead = 5 * time.Minute

// stamped returns the time of a fact: the rack's, or now if that is too far ahead. It may be long
// past, of a rack that was cut off.
func stamped(at, now time.Time) time.Time {
	if at.After(now.Add(maxAhead)) {
		return now
	}
	return at
}

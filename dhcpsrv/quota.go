package dhcpsrv

import (
	"cmp"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// circuit names a place of clients: a port of an access network, by the relay and its circuit ID;
// else the shared network, behind one relay or on the link itself. A relay may serve many shared
// networks from one address.
type circuit struct {
	relay   netip.Addr
	id      string
	network string
}

// whereabouts returns the place of a client in the subnet and the number of addresses that the
// place may have; 0 = no limit. A shared network without a name has no other subnet.
func (s *Subnet) whereabouts(relay netip.Addr, id, network string) (circuit, int) {
	switch {
	case id != "":
		return circuit{relay: relay, id: id}, s.CircuitQuota
	case relay.IsValid():
		return circuit{relay: relay, network: cmp.Or(network, s.Name)}, s.LinkQuota
	}
	return circuit{network: cmp.Or(network, s.Name)}, s.LinkQuota
}

// hasQuota reports whether the subnet has a quota.
func (s *Subnet) hasQuota() bool { return s.CircuitQuota > 0 || s.LinkQuota > 0 }

func (s *Subnet) checkQuota() error {
	if s.CircuitQuota < 0 {
		return fmt.Errorf("negative CircuitQuota %d", s.CircuitQuota)
	}
	if s.LinkQuota < 0 {
		return fmt.Errorf("negative LinkQuota %d", s.LinkQuota)
	}
	return nil
}

// circuits counts the addresses that are leased to, or held for, the clients of each place. It
// belongs to a table.
type circuits map[circuit]int

func (c circuits) add(k circuit, n int) {
	if c[k] += n; c[k] <= 0 {
		delete(c, k)
	}
}

// charge counts an entry at its place.
func (t *table) charge(e *entry, n int) {
	if k, counts := t.chargedTo(e); counts {
		t.circuits.add(k, n)
	}
}

// chargedTo returns the place that an entry counts at: a lease, or an offer, of a dynamic address
// where there is a quota.
func (t *table) chargedTo(e *entry) (k circuit, counts bool) {
	if e.sub == nil || !e.sub.hasQuota() || e.state != Bound && e.state != offered || t.cur.byAddr[e.addr] != nil {
		return circuit{}, false
	}
	k, quota := e.sub.place(e.relay, e.circuit())
	return k, quota > 0
}

// overQuota reports whether other clients hold all the addresses of the packet's place. The
// client's own lease there does not count, since it ends when the client gets another: it may be
// one that the client cannot keep, such as one whose pool was removed.
func (t *table) overQuota(d *decision) bool {
	if d.quota == 0 || t.circuits[d.circuit] < d.quota {
		return false
	}
	others := t.circuits[d.circuit]
	for e := range t.own(d.key, d.seg) {
		if k, counts := t.chargedTo(e); counts && k == d.circuit {
			others--
		}
	}
	return others >= d.quota
}

// place is [Subnet.whereabouts] for clients of IPv4. A circuit ID counts only from a relay: on the
// link itself the client may have invented it.
func (s *subnet) place(relay addr4, id string) (circuit, int) {
	if relay == 0 {
		return s.whereabouts(netip.Addr{}, "", s.seg.name)
	}
	return s.whereabouts(relay.addr(), id, s.seg.name)
}

func (t *table6) charge(e *entry6, n int) {
	if k, counts := t.chargedTo(e); counts {
		t.circuits.add(k, n)
	}
}

func (t *table6) chargedTo(e *entry6) (k circuit, counts bool) {
	l := &e.lease
	if e.sub == nil || l.Bits > 0 || !e.sub.hasQuota() || l.State != Bound && l.State != offered || t.cur.byAddr[l.Addr] != nil {
		return circuit{}, false
	}
	k, quota := e.sub.whereabouts(l.Relay, string(l.CircuitID), e.sub.seg.name)
	return k, quota > 0
}

// spend takes one of the addresses of the packet's place for an IA, whose other addresses there
// end, and reports whether one was left.
func (t *table6) spend(d *decision6, ia *ia6) bool {
	if d.quota == 0 {
		return true
	}
	fresh := d.fresh + 1
	for e := range t.own(ia.key, d.sub.seg) {
		if k, counts := t.chargedTo(e); counts && k == d.circuit {
			fresh--
		}
	}
	if t.circuits[d.circuit]+fresh > d.quota {
		return false
	}
	d.fresh = fresh
	return true
}

// rateWindow is the time in which a client's packets are counted. maxCounted bounds the counted
// clients; beyond it no client is limited, since a flood of invented clients does not come from one
// client.
const (
	rateWindow = time.Second
	maxCounted = 1 << 16
)

// rateLimit counts the packets of each client in the current window.
type rateLimit struct {
	most int // 0 = no limit

	mu     sync.Mutex
	ends   time.Time
	counts map[uint64]int // by hash of the client
}

// exceeded counts a packet and reports whether it is one too many.
func (l *rateLimit) exceeded(client []byte, now time.Time) bool {
	if l.most == 0 || len(client) == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.After(l.ends) {
		clear(l.counts)
		l.ends = now.Add(rateWindow)
	}
	if l.counts == nil {
		l.counts = make(map[uint64]int)
	}
	h := hashKey(client)
	if len(l.counts) >= maxCounted && l.counts[h] == 0 {
		return false
	}
	l.counts[h]++
	return l.counts[h] > l.most
}

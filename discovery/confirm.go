package discovery

import (
	"net/netip"
	"slices"
	"time"
)

// A device is asked in the last confirmLead of its time, once in each confirmEvery, so three times
// as a rule. In each round at most confirmRound devices are asked, 100 a second; the others get
// more time, so that none counts as gone unasked.
const (
	confirmLead  = 15 * time.Second
	confirmEvery = 5 * time.Second
	confirmRound = 500
)

// doubtful returns the devices with an address whose time ends soon, and that mayAsk can be asked.
func (t *Table) doubtful(now time.Time, mayAsk func(Device) bool) (out []Device) {
	t.lock()
	defer t.mu.Unlock()
	at := now.UnixNano()
	for _, e := range t.all() {
		if e.expires > at+int64(confirmLead) || e.reported == 0 || !e.addr().IsValid() || e.key.mac == (MAC{}) {
			continue
		}
		d := t.device(e)
		if !mayAsk(d) {
			continue
		}
		if len(out) < confirmRound {
			e.asked = true
			out = append(out, d)
		} else if !e.asked {
			e.expires = max(e.expires, at+int64(confirmLead))
		}
	}
	return out
}

// confirm asks devices that are about to count as gone. Their answers are observations like any
// other, and renew their time.
func (w *watcher) confirm(now time.Time) {
	if len(w.cfg.Confirm) == 0 || now.Sub(w.confirmed) < confirmEvery {
		return
	}
	w.confirmed = now
	mayAsk := func(d Device) bool {
		source := NDP
		if d.Addr.Is4() {
			source = ARP
		}
		_, ok := w.askFrom(d)
		ok = ok && slices.ContainsFunc(w.cfg.Confirm, func(p netip.Prefix) bool { return p.Contains(d.Addr) })
		return ok && w.sources()&source != 0 // else the answer would not be heard
	}
	for _, d := range w.cfg.Table.doubtful(now, mayAsk) {
		p := w.ports[d.Interface]
		source, _ := w.askFrom(d)
		from := p.conn.Interface().MAC
		if d.Addr.Is4() {
			// To the device alone (RFC 1122 section 2.3.2.1): the rest of the network need not
			// wake.
			question := arpQuestion(nil, from, source, d.Addr)
			copy(question, d.MAC[:])
			_ = p.conn.Send(question)
		} else if question, err := neighborQuestion(nil, from, source, d.Addr); err == nil {
			_ = p.conn.Send(question)
		}
	}
}

// askFrom returns the address to ask a device from. A device of a tagged network cannot be asked,
// nor one in whose network the interface has no address.
func (w *watcher) askFrom(d Device) (netip.Addr, bool) {
	p := w.ports[d.Interface]
	if p == nil || d.VID != 0 {
		return netip.Addr{}, false
	}
	return ownAddr(p.conn.Interface(), netip.PrefixFrom(d.Addr, d.Addr.BitLen()))
}

package radv

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"time"

	"github.com/mdlayher/ndp"
)

// Times of RFC 4861 section 10, and bounds of this package.
const (
	maxInitialInterval = 16 * time.Second
	initialCount       = 3
	maxSolicitDelay    = 500 * time.Millisecond
	minMulticastGap    = 3 * time.Second
	maxSolicitors      = 16 // answered one by one; with more of them a multicast answers all
	// listenTime is more than the delay with which routers answer (MAX_RA_DELAY_TIME, 0.5 s), and
	// less than what firmware waits for an advertisement.
	listenTime = 1500 * time.Millisecond
	maxRouters = 16 // remembered of a link
)

// idle is the longest sleep; a change or a solicitation ends it.
const idle = time.Hour

var allNodes = netip.IPv6LinkLocalAllNodes()

// advertiser schedules the advertisements of one connection.
type advertiser struct {
	s     *Server
	conn  Conn
	links map[string]*advertisedLink
}

type advertisedLink struct {
	ad        *Advertisement
	sent      int          // multicasts of this advertisement
	last      time.Time    // of the last multicast
	next      time.Time    // when the next multicast is due
	answer    time.Time    // when the solicitations are answered; zero = none is waiting
	asked     []netip.Addr // senders to answer by unicast
	multicast bool         // a sender has no address, or there were too many
	// routers are the default routers of others, by address, with the end of their time.
	routers map[netip.Addr]time.Time
}

// routerHeard remembers a default router of others, or forgets one that withdraws itself.
func (a *advertiser) routerHeard(m message, now time.Time) {
	l := a.links[m.link]
	if l == nil || !l.ad.Yield {
		return
	}
	before := l.yieldsUntil(now)
	if m.lifetime == 0 {
		delete(l.routers, m.src)
	} else if _, known := l.routers[m.src]; known || len(l.routers) < maxRouters {
		l.routers[m.src] = now.Add(m.lifetime)
	}
	switch until := l.yieldsUntil(now); {
	case before.IsZero() && !until.IsZero():
		a.s.log.Info("another router heard, advertisements withheld", "interface", l.ad.Link, "ip", m.src)
		l.asked, l.multicast, l.answer = l.asked[:0], false, time.Time{}
	case !before.IsZero() && until.IsZero():
		l.next = later(now, l.last.Add(minMulticastGap))
	}
}

// yieldsUntil returns the time at which the last router of others ends, zero if none exists.
func (l *advertisedLink) yieldsUntil(now time.Time) (until time.Time) {
	for _, end := range l.routers {
		if end.After(now) {
			until = later(until, end)
		}
	}
	return until
}

// solicited records a solicitation. Its answer waits for a random time, so that several routers do
// not all answer at once.
func (a *advertiser) solicited(q message, now time.Time) {
	l := a.links[q.link]
	if l == nil || !l.yieldsUntil(now).IsZero() {
		return
	}
	if l.answer.IsZero() {
		l.answer = now.Add(rand.N(maxSolicitDelay))
		if l.sent == 0 { // it listens for other routers
			l.answer = later(l.answer, l.next)
		}
	}
	if !q.src.Is6() || q.src.IsUnspecified() || len(l.asked) == maxSolicitors {
		l.multicast = true
		return
	}
	l.asked = append(l.asked, q.src)
}

// step sends what is due and returns when to look again.
func (a *advertiser) step(now time.Time) time.Duration {
	wait := idle
	for _, l := range a.links {
		if until := l.yieldsUntil(now); !until.IsZero() && l.next.Before(until) {
			l.next = until
		}
		if !l.answer.IsZero() && !now.Before(l.answer) {
			a.reply(l, now)
		}
		if !now.Before(l.next) {
			a.announce(l, now)
		}
		for _, t := range []time.Time{l.next, l.answer} {
			if !t.IsZero() {
				wait = min(wait, max(t.Sub(now), 0))
			}
		}
	}
	return wait
}

// follow compares with the current advertisements: new and changed ones are due at once, removed
// ones are withdrawn.
func (a *advertiser) follow(current map[string]*Advertisement, now time.Time) {
	for name, l := range a.links {
		if current[name] == nil {
			a.retract(l)
			delete(a.links, name)
		}
	}
	for name, ad := range current {
		l := a.links[name]
		if l != nil && reflect.DeepEqual(l.ad, ad) {
			continue
		}
		next := &advertisedLink{ad: ad, next: now, routers: make(map[netip.Addr]time.Time)}
		if l != nil { // frequent updates must not flood the link
			next.last, next.next = l.last, later(now, l.last.Add(minMulticastGap))
		}
		if l != nil && l.ad.Yield {
			next.routers = l.routers
		} else if ad.Yield {
			next.next = later(next.next, now.Add(listenTime))
			a.askForRouters(name)
		}
		a.links[name] = next
	}
}

// askForRouters sends a router solicitation.
func (a *advertiser) askForRouters(link string) {
	b, err := ndp.MarshalMessage(&ndp.RouterSolicitation{})
	if err == nil {
		err = a.conn.WriteICMP(b, link, netip.IPv6LinkLocalAllRouters())
	}
	if err != nil {
		a.s.stats.writeErrors.Add(1)
	}
}

func (a *advertiser) announce(l *advertisedLink, now time.Time) {
	a.send(l, l.ad.RouterLifetime, allNodes)
	l.last, l.sent = now, l.sent+1
	gap := l.ad.Interval*3/4 + rand.N(l.ad.Interval/4)
	if l.sent < initialCount {
		gap = min(gap, maxInitialInterval)
	}
	l.next = now.Add(gap)
}

func (a *advertiser) reply(l *advertisedLink, now time.Time) {
	for _, dst := range l.asked {
		a.send(l, l.ad.RouterLifetime, dst)
	}
	if l.multicast { // at least 3 s after the last one, so that a flood of solicitations causes no flood of answers
		l.next = earlier(l.next, later(now, l.last.Add(minMulticastGap)))
	}
	l.asked, l.multicast, l.answer = l.asked[:0], false, time.Time{}
}

// withdraw announces on every link that this host is no longer a default router (RFC 4861 section
// 6.2.5): hosts would otherwise use it until the lifetime ends.
func (a *advertiser) withdraw() {
	for _, l := range a.links {
		a.retract(l)
	}
}

func (a *advertiser) retract(l *advertisedLink) {
	if l.ad.RouterLifetime > 0 && l.sent > 0 {
		a.send(l, 0, allNodes)
	}
}

func (a *advertiser) send(l *advertisedLink, lifetime time.Duration, dst netip.Addr) {
	b, err := l.ad.message(lifetime)
	if err == nil {
		err = a.conn.WriteICMP(b, l.ad.Link, dst)
	}
	if err != nil {
		a.s.stats.writeErrors.Add(1)
		a.s.log.Warn("router advertisement not sent", "interface", l.ad.Link, "ip", dst, "err", err)
		return
	}
	a.s.stats.sent.Add(1)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

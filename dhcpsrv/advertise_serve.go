package dhcpsrv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"time"
)

// AdvertiseConn carries ICMPv6 messages between a [Server] and its links. dhcplink.ListenAdvertise opens one on Linux; a test gives
// any type with these methods. ReadICMP and WriteICMP are each called by one goroutine. Close ends a blocked ReadICMP with
// an error that satisfies errors.Is(err, net.ErrClosed).
type AdvertiseConn interface {
	// ReadICMP waits for a message with hop limit 255, which is proof that it comes from the link itself.
	ReadICMP(b []byte) (n int, link string, src netip.Addr, err error)
	// WriteICMP sends a message with hop limit 255 from the link-local address of link; the checksum is not filled in.
	WriteICMP(b []byte, link string, dst netip.Addr) error
	Close() error
}

// Times of RFC 4861 section 10, and bounds of our own.
const (
	maxInitialInterval = 16 * time.Second
	initialCount       = 3
	maxSolicitDelay    = 500 * time.Millisecond
	minMulticastGap    = 3 * time.Second
	advertisePoll      = time.Second // how soon a new snapshot shows
	maxSolicitors      = 16          // answered one by one; with more of them a multicast answers all
)

var allNodes = netip.IPv6LinkLocalAllNodes()

// ServeAdvertise advertises what the snapshot says on each link of conn, unasked and when asked, until ctx ends. Then it
// takes back what it said of default routes, closes conn and returns nil.
func (s *Server) ServeAdvertise(ctx context.Context, conn AdvertiseConn) error {
	asked, failed := make(chan solicitation, 64), make(chan error, 1)
	go func() { failed <- s.readSolicitations(conn, asked) }()
	a := &advertiser{s: s, conn: conn, links: make(map[string]*advertisedLink)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			a.withdraw()
			conn.Close()
			<-failed
			return nil
		case err := <-failed:
			conn.Close()
			return fmt.Errorf("dhcpsrv: read router solicitations: %w", err)
		case q := <-asked:
			a.solicited(q, time.Now())
		case <-timer.C:
		}
		timer.Reset(a.step(time.Now()))
	}
}

type solicitation struct {
	link string
	src  netip.Addr
}

// readSolicitations passes valid router solicitations on; what comes faster than it is answered is dropped and counted.
func (s *Server) readSolicitations(conn AdvertiseConn, asked chan<- solicitation) error {
	buf := make([]byte, 1500)
	for {
		n, link, src, err := conn.ReadICMP(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
				return err
			}
			s.stats.readErrors.Add(1)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if n < solicitHeader || buf[0] != icmpSolicit || buf[1] != 0 {
			continue
		}
		select {
		case asked <- solicitation{link, src}:
		default:
			s.stats.reasons[DropQueueFull].Add(1)
		}
	}
}

// advertiser knows when each link is due.
type advertiser struct {
	s     *Server
	conn  AdvertiseConn
	links map[string]*advertisedLink
}

type advertisedLink struct {
	ad        *Advertisement
	sent      int          // multicasts of this advertisement
	last      time.Time    // of the last multicast
	next      time.Time    // when the next multicast is due
	answer    time.Time    // when those that asked get their answer; zero = nobody asked
	asked     []netip.Addr // those that asked and have an address
	multicast bool         // somebody asked who has none, or too many did
}

// solicited notes who asked. The answer waits a random moment, so that several routers do not all speak at once.
func (a *advertiser) solicited(q solicitation, now time.Time) {
	l := a.links[q.link]
	if l == nil {
		return
	}
	if l.answer.IsZero() {
		l.answer = now.Add(rand.N(maxSolicitDelay))
	}
	if !q.src.Is6() || q.src.IsUnspecified() || len(l.asked) == maxSolicitors {
		l.multicast = true
		return
	}
	l.asked = append(l.asked, q.src)
}

// step sends what is due and returns when to look again.
func (a *advertiser) step(now time.Time) time.Duration {
	a.follow(now)
	wait := advertisePoll
	for _, l := range a.links {
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

// follow takes over the current snapshot: new and changed advertisements are due at once, dropped ones are taken back.
func (a *advertiser) follow(now time.Time) {
	a.s.mu.Lock()
	current := a.s.table.cur.ads
	a.s.mu.Unlock()
	for name, l := range a.links {
		if current[name] == nil {
			a.retract(l)
			delete(a.links, name)
		}
	}
	for name, ad := range current {
		if l := a.links[name]; l == nil || !reflect.DeepEqual(l.ad, ad) {
			a.links[name] = &advertisedLink{ad: ad, next: now}
		}
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
	if l.multicast { // not sooner than 3 s after the last one: a flood of questions makes no flood of answers
		l.next = earlier(l.next, later(now, l.last.Add(minMulticastGap)))
	}
	l.asked, l.multicast, l.answer = l.asked[:0], false, time.Time{}
}

// withdraw says of every link that this host is no default router any more (RFC 4861 section 6.2.5).
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
	if err := a.conn.WriteICMP(l.ad.message(lifetime), l.ad.Link, dst); err != nil {
		a.s.stats.writeErrors.Add(1)
		a.s.log.Warn("router advertisement not sent", "link", l.ad.Link, "dst", dst, "err", err)
		return
	}
	a.s.stats.advertised.Add(1)
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

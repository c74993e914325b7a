package bounds

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound the connections of a listener.
type Limits struct {
	// Total bounds the connections that are not admitted. Zero means 1,024.
	Total int
	// PerSource bounds those of one address; connections without an IP address, as on a UNIX
	// socket, have no such bound. Zero means 64. All addresses of an IPv6 /64 together have half of
	// Total: they may be one host's, or all machines of a network.
	PerSource int
	// Admitted bounds the connections for which [Admit] was called; more are not admitted. Zero
	// means 4,096.
	Admitted int
	// Log receives errors of the listener and connections above the limits, both at a bounded rate.
	// If nil, they are discarded.
	Log *slog.Logger
}

// Pauses after an error of Accept, doubling from the first to the last. Such an error is a lack of
// file descriptors or memory, or a connection that its client has given up: all of these pass.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// complaints is the rate of log lines of one listener.
var complaints = Rate{Burst: 3, Every: time.Minute}

// A Listener accepts connections within limits.
type Listener struct {
	net.Listener
	limits          Limits
	failures, crowd *Log
	ended           chan struct{}
	end             func()

	used atomic.Uint64 // counts uses of connections, which orders them by their last one

	mu       sync.Mutex // guards the fields below
	admitted int
	total    int
	sources  map[netip.Addr]map[*place]struct{} // connections not admitted
	networks map[netip.Prefix]int               // of these, by the /64 of IPv6
}

// Listen returns a listener that takes the connections of ln. Its Accept fails only when it, or ln,
// is closed.
func Listen(ln net.Listener, limits Limits) *Listener {
	limits.Total = cmp.Or(max(limits.Total, 0), 1024)
	limits.PerSource = cmp.Or(max(limits.PerSource, 0), 64)
	limits.Admitted = cmp.Or(max(limits.Admitted, 0), 4096)
	if limits.Log == nil {
		limits.Log = slog.New(slog.DiscardHandler)
	}
	ended := make(chan struct{})
	return &Listener{
		Listener: ln, limits: limits, failures: NewLog(limits.Log, complaints), crowd: NewLog(limits.Log, complaints),
		ended: ended, end: sync.OnceFunc(func() { close(ended) }), sources: make(map[netip.Addr]map[*place]struct{}), networks: make(map[netip.Prefix]int),
	}
}

// Close ends Accept. Connections stay open.
func (l *Listener) Close() error {
	l.end()
	return l.Listener.Close()
}

// Accept waits for a connection and makes room for it if necessary. A connection for which there is
// no room is closed at once.
func (l *Listener) Accept() (net.Conn, error) {
	pause := firstPause
	for {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = firstPause
			if conn = l.enter(conn); conn != nil {
				return conn, nil
			}
			continue
		case errors.Is(err, net.ErrClosed), l.isClosed():
			return nil, err
		}
		l.failures.Warn("connection not accepted", "address", l.Addr().String(), "retry_in", pause, "err", err)
		select {
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		case <-l.ended:
			return nil, net.ErrClosed
		}
	}
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// enter gives a connection a place. It returns nil and closes the connection if there is none.
func (l *Listener) enter(raw net.Conn) net.Conn {
	p := &place{listener: l, raw: raw, source: addrOf(raw.RemoteAddr())}
	if p.source.Is6() {
		p.network = Source(p.source)
	}
	p.touch()
	l.mu.Lock()
	victim, ok := l.room(p.source, p.network)
	if victim != nil {
		l.remove(victim)
	}
	if ok {
		l.add(p)
	}
	l.mu.Unlock()
	if victim != nil || !ok {
		l.crowd.Warn("too many connections", "address", l.Addr().String(), "client", raw.RemoteAddr().String())
	}
	// Outside of the lock: to close a TLS connection's socket is quick, but the sockets of tests
	// and tunnels may do more.
	if victim != nil {
		victim.raw.Close()
	}
	if !ok {
		raw.Close()
		return nil
	}
	if tcp, isTCP := raw.(*net.TCPConn); isTCP {
		return &tcpConn{tcp, p}
	}
	return &conn{raw, p}
}

// room finds a place for a connection of a source: a free one, or that of a victim. Of its own
// source's connections, the one that is idle longest gives way. When the places of all sources are
// taken, the source with the most connections loses one, so that many connections take nothing from
// a client with few.
func (l *Listener) room(source netip.Addr, network netip.Prefix) (victim *place, ok bool) {
	own := l.sources[source]
	if source.IsValid() && len(own) >= l.limits.PerSource {
		victim = oldest(own, false)
		return victim, victim != nil
	}
	if network.IsValid() && l.networks[network] >= max(l.limits.PerSource, l.limits.Total/2) {
		return l.victim(source, network)
	}
	if l.total < l.limits.Total {
		return nil, true
	}
	return l.victim(source, netip.Prefix{})
}

// victim returns the connection that gives way to a source's, among those of a network if it is
// valid.
func (l *Listener) victim(source netip.Addr, network netip.Prefix) (victim *place, ok bool) {
	own := l.sources[source]
	var most map[*place]struct{}
	for from, places := range l.sources {
		if network.IsValid() && !network.Contains(from) {
			continue
		}
		if len(places) > len(most) {
			most = places
		}
		// A source with fewer connections than the newcomer's loses none to it.
		if idle := oldest(places, false); idle != nil && (len(places) > len(own) || from == source) && l.rather(idle, victim) {
			victim = idle
		}
	}
	// A source that keeps all of its connections busy may send a byte now and then for that alone.
	if len(most) > len(own)+1 && (victim == nil || len(l.sources[victim.source]) < len(most)) {
		victim = oldest(most, true)
	}
	return victim, victim != nil
}

// rather reports whether a connection should give way before another one, which may be nil.
func (l *Listener) rather(p, other *place) bool {
	if other == nil {
		return true
	}
	if n, m := len(l.sources[p.source]), len(l.sources[other.source]); n != m {
		return n > m
	}
	return p.last.Load() < other.last.Load()
}

// oldest returns the connection that was used longest ago, nil if there is none.
func oldest(places map[*place]struct{}, busyToo bool) (first *place) {
	for p := range places {
		if (busyToo || p.busy.Load() == 0) && (first == nil || p.last.Load() < first.last.Load()) {
			first = p
		}
	}
	return first
}

func (l *Listener) add(p *place) {
	places := l.sources[p.source]
	if places == nil {
		places = make(map[*place]struct{})
		l.sources[p.source] = places
	}
	places[p] = struct{}{}
	l.total++
	if p.network.IsValid() {
		l.networks[p.network]++
	}
}

// remove ends the place of a connection, if it has one.
func (l *Listener) remove(p *place) {
	places := l.sources[p.source]
	if _, ok := places[p]; !ok {
		return
	}
	delete(places, p)
	if len(places) == 0 {
		delete(l.sources, p.source)
	}
	l.total--
	if p.network.IsValid() {
		if l.networks[p.network]--; l.networks[p.network] == 0 {
			delete(l.networks, p.network)
		}
	}
}

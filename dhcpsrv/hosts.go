package dhcpsrv

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"
)

// Hosts decides address and options of clients that the snapshot has no reservation for, from an
// inventory of the embedder. The server calls it in goroutines of their own, never on the path of a
// packet, so that it may ask a database: ctx ends after ten seconds, or when the server stops.
// Config.HostLookups bounds the calls under way. Other packets of a client wait for the same call.
//
// A client whose answer arrives within four seconds is answered then, later ones when they ask
// again. After an error, or an answer that makes no sense, the client gets no answer and the next
// call is made a second later; the log has the error.
type Hosts interface {
	LookupHost(ctx context.Context, q HostQuery) (Host, error)
}

// HostsFunc makes a function a [Hosts].
type HostsFunc func(ctx context.Context, q HostQuery) (Host, error)

// LookupHost calls f.
func (f HostsFunc) LookupHost(ctx context.Context, q HostQuery) (Host, error) { return f(ctx, q) }

// HostQuery holds what identifies a client, and its firmware. An answer is kept for clients with
// the same query. The slices belong to the callee.
type HostQuery struct {
	MAC         net.HardwareAddr // empty for clients without a link address
	ClientID    []byte           // option 61 of IPv4 as sent
	DUID        []byte           // of a DHCPv6 client; nil = the client asks by DHCPv4
	VRF         string           // routing domain of the client; "" = the global one
	Subnet      string           // name of the subnet that the client is in
	Link        string           // interface of the server that heard it; "" for clients behind a relay
	Relay       netip.Addr       // relay agent (giaddr, link address of IPv6); invalid for clients on the link itself
	CircuitID   []byte           // option 82.1, or 18 of IPv6
	RemoteID    []byte           // option 82.2, or 37 of IPv6
	Subscriber  string           // option 82.6, or 38 of IPv6
	VendorClass string           // option 60, or 16 of IPv6
	UserClasses []string         // option 77, or 15 of IPv6
	Arch        []uint16         // option 93, or 61 of IPv6
	ClientUUID  []byte           // option 97 without its type byte; nil = none
	HasIPXE     bool             // some build of iPXE
}

// HostAction says whether and how a client is served.
type HostAction uint8

const (
	// HostServe gives Host.Addr or, without one, an address of the pools. It is the zero value.
	HostServe HostAction = iota
	// HostIgnore gives no answer, so that another server can.
	HostIgnore
	// HostRefuse refuses what the client asks for: a NAK, or NoAddrsAvail of DHCPv6.
	HostRefuse
)

// Host is the answer about one client. The zero value gives an address of the pools.
type Host struct {
	Action HostAction
	// Addr is the client's address: in a subnet of the client's shared network, of the family that
	// it asks by, and best outside the pools, since a pool may have given it out before. Invalid =
	// an address of the pools.
	Addr     netip.Addr
	Hostname string  // option 12, or 39 of IPv6, sent to a client that asks for it; "" = none
	Options  Options // host level, of the family that the client asks by; wins over the snapshot's
	// LeaseTime wins over LeaseTime and BootLeaseTime of the subnet; 0 = theirs.
	LeaseTime time.Duration
	// Boot chooses what the client loads; a [BootAnswer] is one. If nil, Config.Boot is asked.
	Boot BootSelector
	// Keep bounds the time that the answer is used without another call; 0 = Config.OfferHold, so
	// that one call serves a whole exchange.
	Keep time.Duration
}

const (
	defaultHostLookups = 1024
	defaultHostCache   = 65536

	hostTimeout   = 10 * time.Second // of one call
	hostWindow    = 4 * time.Second  // a client asks again after this time (RFC 2131 section 4.1)
	hostErrorKeep = time.Second      // a failed call is not repeated before
)

// hostAnswer is an answer as the server keeps it.
type hostAnswer struct {
	key    string
	host   Host
	res    *Reservation // what the answer gives, in the form of a reservation
	err    error        // of the call, or of the answer
	until  int64        // Unix nanoseconds
	warned bool         // its address was found to be wrong, which is logged once

	prev, next *hostAnswer // less and more recently used
}

// newHostAnswer checks what can be checked without the leases.
func newHostAnswer(key string, q *HostQuery, h Host, err error) *hostAnswer {
	a := &hostAnswer{key: key, host: h, err: err}
	if err == nil {
		a.err = checkHost(q, &h)
	}
	a.res = &Reservation{Name: "Hosts", MAC: q.MAC, ClientID: q.ClientID, DUID: q.DUID, Addr: h.Addr, Hostname: h.Hostname, Options: h.Options}
	return a
}

// checkHost refuses answers that make no sense for any state of the server.
func checkHost(q *HostQuery, h *Host) error {
	six := q.DUID != nil
	check := checkOptions
	if six {
		check = checkOptions6
	}
	switch {
	case h.Action > HostRefuse:
		return fmt.Errorf("field Action %d is unknown: set HostServe, HostIgnore or HostRefuse", h.Action)
	case h.Action != HostServe && h.Addr.IsValid():
		return fmt.Errorf("field Addr %v although Action gives no address: leave one of them out", h.Addr)
	case h.Addr.IsValid() && six != is6(h.Addr):
		return fmt.Errorf("field Addr %v is not of the client's family: answer an address of the family of HostQuery (DHCPv6 has a DUID)", h.Addr)
	case len(h.Hostname) > 255:
		return fmt.Errorf("field Hostname is longer than 255 bytes: shorten it")
	case h.LeaseTime != 0 && (h.LeaseTime < time.Second || h.LeaseTime >= math.MaxUint32*time.Second):
		return fmt.Errorf("field LeaseTime %v is not between 1 s and 136 years: set 0 for the subnet's", h.LeaseTime)
	case h.Keep < 0:
		return fmt.Errorf("field Keep %v is negative: set 0 for the time of an offer", h.Keep)
	}
	return check("Options", h.Options)
}

// bootBy returns the selector for a client: the one of its answer or, without one, other.
func (a *hostAnswer) bootBy(other BootSelector) BootSelector {
	if a != nil && a.host.Boot != nil {
		return a.host.Boot
	}
	return other
}

// warnHost logs that the address of an answer makes no sense, once for each answer. The caller
// holds s.mu.
func (s *Server) warnHost(a *hostAnswer, err error) {
	if err != nil && !a.warned {
		a.warned = true
		s.log.Warn("answer of Hosts not used", "mac", a.res.MAC.String(), "err", err)
	}
}

// hostLookup is one call of Hosts, under way or waiting for its turn.
type hostLookup struct {
	key   string
	q     HostQuery
	box   *outbox // of the Serve that began it; nil = none
	begin func()
	job   *job // the client's last packet; nil = none waits
	due   bool // waits for its turn
}

// hosts holds the answers and the calls. The server's lock guards it.
type hosts struct {
	key     []byte // of the query in progress
	answers map[string]*hostAnswer
	used    hostAnswer // ring of the answers, the most recently used first
	most    int        // answers

	calls   map[string]*hostLookup
	waiting []*hostLookup // in the order of their arrival; those whose due is false are gone
	queued  int           // of waiting, those that are due
	running int
}

func newHosts(most int) *hosts {
	h := &hosts{answers: map[string]*hostAnswer{}, calls: map[string]*hostLookup{}, most: most}
	h.used.prev, h.used.next = &h.used, &h.used
	return h
}

// find returns the answer for h.key, or nil.
func (h *hosts) find(now int64) *hostAnswer {
	a := h.answers[string(h.key)]
	if a == nil || a.until <= now {
		return nil
	}
	a.unlink()
	h.link(a)
	return a
}

// keep enters an answer. The one that was not used for the longest time makes room for it.
func (h *hosts) keep(a *hostAnswer) {
	if old := h.answers[a.key]; old != nil {
		old.unlink()
	} else if len(h.answers) >= h.most {
		oldest := h.used.prev
		oldest.unlink()
		delete(h.answers, oldest.key)
	}
	h.answers[a.key] = a
	h.link(a)
}

func (h *hosts) link(a *hostAnswer) {
	a.prev, a.next = &h.used, h.used.next
	a.next.prev, h.used.next = a, a
}

func (a *hostAnswer) unlink() {
	a.prev.next, a.next.prev = a.next, a.prev
}

// next returns the call whose turn it is, or nil.
func (h *hosts) next() *hostLookup {
	for len(h.waiting) > 0 {
		l := h.waiting[0]
		h.waiting[0] = nil
		h.waiting = h.waiting[1:]
		if l.due {
			l.due = false
			h.queued--
			return l
		}
	}
	h.waiting = nil
	return nil
}

// park makes a job wait for the answer about its client. It returns a job that no longer waits, or
// nil: the client's previous packet, or that of another client when too many wait. The caller holds
// s.mu.
func (s *Server) park(ctx context.Context, j *job, q HostQuery) (gone *job) {
	h := s.hosts
	j.parked = time.Now()
	if j.box != nil {
		j.box.parked.Add(1)
	} else {
		// The answer also serves later packets, whose callers wait longer.
		ctx = context.WithoutCancel(ctx)
	}
	if l := h.calls[string(h.key)]; l != nil {
		gone, l.job = l.job, j
		return gone
	}
	l := &hostLookup{key: string(h.key), q: q, box: j.box, job: j}
	l.begin = func() { go s.lookUp(ctx, l) }
	if l.box != nil {
		l.box.parked.Add(1)
	}
	h.calls[l.key] = l
	if h.running < s.cfg.HostLookups {
		h.running++
		l.begin()
		return nil
	}
	if h.queued >= s.cfg.Queue {
		gone = s.giveUp(h.next())
	}
	l.due = true
	h.waiting = append(h.waiting, l)
	h.queued++
	return gone
}

// giveUp takes a call out that has not begun and returns the job that waits for it, or nil. The
// caller holds s.mu.
func (s *Server) giveUp(l *hostLookup) *job {
	delete(s.hosts.calls, l.key)
	if l.box != nil {
		l.box.parked.Done()
	}
	return l.job
}

// lookUp makes one call, keeps its answer and runs the packet that waits for it.
func (s *Server) lookUp(ctx context.Context, l *hostLookup) {
	a := s.askHosts(ctx, l.key, l.q)
	s.mu.Lock()
	j := l.job
	delete(s.hosts.calls, l.key)
	s.hosts.keep(a)
	if next := s.hosts.next(); next != nil {
		next.begin()
	} else {
		s.hosts.running--
	}
	s.mu.Unlock()
	switch {
	case j == nil:
	case time.Since(j.parked) > hostWindow:
		s.unpark(j, dropHostLate)
	default:
		s.resume(ctx, j, a)
	}
	if l.box != nil {
		l.box.parked.Done()
	}
}

// askHosts calls the embedder and checks what it answers.
func (s *Server) askHosts(ctx context.Context, key string, q HostQuery) *hostAnswer {
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	h, err := Host{}, fmt.Errorf("the call panicked")
	func() {
		defer s.recovered("hosts")
		h, err = s.cfg.Hosts.LookupHost(ctx, q)
	}()
	a := newHostAnswer(key, &q, h, err)
	keep := h.Keep
	if keep == 0 {
		keep = s.cfg.OfferHold
	}
	if a.err != nil {
		keep = hostErrorKeep
		s.log.Warn("answer of Hosts not used", "mac", q.MAC.String(), "subnet", q.Subnet, "err", a.err)
	}
	s.mu.Lock()
	a.until = s.now() + int64(keep)
	s.mu.Unlock()
	return a
}

// resume runs a job with the answer that it waited for.
func (s *Server) resume(ctx context.Context, j *job, a *hostAnswer) {
	box := j.box // the job may be another packet's afterwards
	j.answer = a
	for s.run(ctx, j) {
		s.probe(ctx, j)
	}
	if box != nil {
		box.flush()
		box.parked.Done()
	}
}

// unpark drops a job that waited. A nil job is none.
func (s *Server) unpark(j *job, why Reason) {
	if j == nil {
		return
	}
	box := j.box
	s.drop(j, why)
	if box != nil {
		box.parked.Done()
	}
}

// unparkAll drops the jobs of a Serve that ends, and its calls that have not begun.
func (s *Server) unparkAll(box *outbox) {
	if s.hosts == nil {
		return
	}
	var gone []*job
	s.mu.Lock()
	for _, l := range s.hosts.calls {
		switch {
		case l.due && l.box == box:
			l.due = false
			s.hosts.queued--
			gone = append(gone, s.giveUp(l))
		case l.job != nil && l.job.box == box:
			gone = append(gone, l.job)
			l.job = nil
		}
	}
	s.mu.Unlock()
	for _, j := range gone {
		s.unpark(j, dropHostPending)
	}
}

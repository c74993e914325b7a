package dhcpsrv

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// RogueServer is another DHCP server that answers on a link.
type RogueServer struct {
	ID    netip.Addr       // server identifier, option 54; invalid when the server sent none
	Addr  netip.Addr       // source address of its offer: the server, or the relay agent in front of it
	MAC   net.HardwareAddr // source of the frame
	Offer netip.Addr       // the address it offered
}

// Times of [ModeAuto].
const (
	// rogueQuiet is the time for which no other server may have answered before the server takes a
	// link over from it. Each return to proxy mode within an hour doubles the time, up to an hour:
	// a server that starts and stops does not make this one alternate with it.
	rogueQuiet = 2 * time.Minute

	maxRogueQuiet = time.Hour
	calm          = time.Hour        // rogueQuiet counts again after serving for so long
	lookFor       = 3 * time.Second  // how long answers to one probe are awaited
	lookServing   = time.Minute      // between probes while it serves
	lookProxy     = 20 * time.Second // between probes in proxy mode
	lookAgain     = 10 * time.Second // between probes at the least: after an error, and when clients talk to another server
)

// watch holds what is known about the other servers of one link. The lock of the server guards it.
type watch struct {
	link    string
	mode    Mode // ModeAuto = not known yet
	since   time.Time
	servers []RogueServer // servers that answered last
	silent  time.Time     // proxy: since when no server answers; zero = one does
	quiet   time.Duration // for how long none must answer
	asked   time.Time     // when the last probe began
	due     time.Time     // of the next one
	looking bool          // a probe is in progress
}

// found records the servers that answered a probe.
func (w *watch) found(now time.Time, servers []RogueServer) {
	w.due = now.Add(lookProxy)
	if w.mode != ModeProxy {
		switch {
		case w.mode != ModeServe || now.Sub(w.since) >= calm:
			w.quiet = rogueQuiet
		default:
			w.quiet = min(2*w.quiet, maxRogueQuiet)
		}
		w.mode, w.since = ModeProxy, now
	}
	w.servers, w.silent = servers, time.Time{}
}

// foundNone records that a probe was sent and no server answered.
func (w *watch) foundNone(now time.Time) {
	switch {
	case w.mode == ModeAuto:
		w.mode, w.since, w.quiet = ModeServe, now, rogueQuiet/2
	case w.mode == ModeProxy && w.silent.IsZero():
		w.silent = now
	case w.mode == ModeProxy && now.Sub(w.silent) >= w.quiet:
		w.mode, w.since, w.servers = ModeServe, now, nil
	}
	if w.due = now.Add(lookProxy); w.mode == ModeServe {
		w.due = now.Add(lookServing)
	}
}

// failed records that no probe could be sent, which does not count as silence.
func (w *watch) failed(now time.Time) {
	w.silent, w.due = time.Time{}, now.Add(lookAgain)
}

// overheard records that a client of the link talks to another server.
func (w *watch) overheard() {
	w.silent = time.Time{}
	if soon := w.asked.Add(lookAgain); w.mode == ModeServe && soon.Before(w.due) {
		w.due = soon
	}
}

// rewatch gives the shared networks with ModeAuto in a new snapshot the watches of their links. The
// caller holds s.mu.
func (s *Server) rewatch(next []*serving) {
	former := s.watches
	s.watches = make(map[string]*watch)
	var networks []*sharedNetwork
	for _, c := range next {
		networks = append(networks, c.networks...)
	}
	for _, seg := range networks {
		if seg.mode != ModeAuto {
			continue
		}
		link := seg.link()
		w := former[link]
		if w == nil {
			w = &watch{link: link, mode: ModeAuto}
		}
		seg.watch, s.watches[link] = w, w
	}
}

// watchLinks probes for other servers until ctx ends. When several Serve run, one of them does so.
func (s *Server) watchLinks(ctx context.Context) {
	select {
	case s.watching <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.watching }()
	var probes sync.WaitGroup
	defer probes.Wait()
	for {
		for _, w := range s.dueWatches(time.Now()) {
			probes.Go(func() { s.look(ctx, w) })
		}
		if !sleep(ctx, time.Second) {
			return
		}
	}
}

// dueWatches returns the watches whose time has come and marks them.
func (s *Server) dueWatches(now time.Time) (due []*watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watches {
		if !w.looking && !now.Before(w.due) {
			w.looking, w.asked = true, now
			due = append(due, w)
		}
	}
	return due
}

// look probes once on one link and updates its watch.
func (s *Server) look(ctx context.Context, w *watch) {
	servers, err := s.askServers(ctx, w.link)
	s.mu.Lock()
	before, now := w.mode, time.Now()
	servers = slices.DeleteFunc(servers, func(f RogueServer) bool { return s.own(f) || !f.gives() })
	switch {
	case err != nil:
		w.failed(now)
	case len(servers) > 0:
		w.found(now, servers)
	case ctx.Err() == nil: // a probe that was cut short proves nothing
		w.foundNone(now)
	}
	w.looking = false
	after := w.mode
	s.mu.Unlock()
	if err != nil {
		s.log.Warn("search for rogue servers failed", "interface", w.link, "err", err)
	}
	if before != after {
		s.log.Warn("mode changed", "interface", w.link, "from", before, "to", after, "count", len(servers))
	}
}

func (s *Server) askServers(ctx context.Context, link string) (servers []RogueServer, err error) {
	err = context.Canceled // the result when the finder panics
	defer s.recovered("finder of servers")
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	return s.cfg.FindServers(ctx, link)
}

// own reports whether a server that answered is this one or its partner: two partners must not
// silence each other.
func (s *Server) own(f RogueServer) bool {
	return slices.ContainsFunc(s.vrfs, func(v *vrf) bool { return v.v4.cur.own(f) })
}

func (c *serving) own(f RogueServer) bool {
	return slices.ContainsFunc(c.subnets, func(sub *subnet) bool {
		return sub.Server == f.ID || sub.Server == f.Addr || sub.PartnerServer.IsValid() && (sub.PartnerServer == f.ID || sub.PartnerServer == f.Addr)
	})
}

// gives reports whether a server offered an address. A server that offers only boot data is no
// reason to stop serving.
func (f *RogueServer) gives() bool { return f.Offer.IsValid() && !f.Offer.IsUnspecified() }

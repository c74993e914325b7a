package dhcpsrv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/uptime"
	"github.com/gomaas/maas/internal/bounds"
)

// Server serves DHCPv4 and DHCPv6 from a [Snapshot]. Its methods are safe for concurrent use. Make
// one with [New].
type Server struct {
	cfg    Config
	log    *slog.Logger
	faults *bounds.Log // for lines that a packet causes
	stats  stats
	probes chan struct{} // holds one for each probe in progress

	stocking [2]stocking // probes ahead, by family
	rate     rateLimit

	scratch  sync.Pool     // of *scratch
	watching chan struct{} // held by the goroutine that watches the links
	updating sync.Mutex    // held by Update

	mu       sync.Mutex
	vrfs     []*vrf            // by name; the global one first
	byLink   map[string]*vrf   // of links in others than the global one
	byVSS    map[string]*vrf   // by what relays and clients send
	watches  map[string]*watch // by link
	hosts    *hosts            // nil without Config.Hosts
	clock    reckoning
	failover partnership

	pending    []change // decided, not yet with the store
	spare      []change // the previous pending, to use its memory again
	committing bool
	enqueued   uint64     // changes ever put into pending
	finished   uint64     // changes of these that are stored, reported and answered, or given up
	progress   *sync.Cond // signaled when finished grows

	leases []Lease // of the batch being stored; belongs to the committer
	jobs   []*job  // of the batch being reported; belongs to the committer
}

// faultLines is the rate of log lines of which any client may cause as many as it sends packets, as
// long as a disk, an interface or a prober fails.
var faultLines = bounds.Rate{Burst: 20, Every: 5 * time.Second}

// New loads the leases from cfg.Store and returns a server with an empty snapshot. It starts and
// opens nothing.
func New(cfg Config) (*Server, error) {
	return newServer(cfg, func(wall int64) (string, time.Duration) { return uptime.Of(wall, clockStep) })
}

func newServer(cfg Config, machine func(wall int64) (string, time.Duration)) (*Server, error) {
	if cfg.Store == nil {
		cfg.Store = new(MemStore)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OfferHold == 0 {
		cfg.OfferHold = defaultOfferHold
	}
	if cfg.ProbeAhead == 0 {
		cfg.ProbeAhead = defaultProbeAhead
	}
	if cfg.Workers == 0 {
		cfg.Workers = defaultWorkers
	}
	if cfg.Queue == 0 {
		cfg.Queue = defaultQueue
	}
	if cfg.HostLookups == 0 {
		cfg.HostLookups = defaultHostLookups
	}
	if cfg.HostCache == 0 {
		cfg.HostCache = defaultHostCache
	}
	if cfg.HostLookups < 0 || cfg.HostCache < 0 {
		return nil, fmt.Errorf("dhcpsrv: negative HostLookups %d or HostCache %d: set 0 for the default", cfg.HostLookups, cfg.HostCache)
	}
	if f, ok := cfg.Hosts.(HostsFunc); ok && f == nil {
		return nil, errors.New("dhcpsrv: Config.Hosts is a nil HostsFunc: leave Hosts nil, or give it a function")
	}
	if cfg.ClientRate < 0 {
		return nil, fmt.Errorf("dhcpsrv: negative client rate %d", cfg.ClientRate)
	}
	if cfg.OfferHold < time.Second || cfg.Workers < 0 || cfg.Queue < 0 {
		return nil, fmt.Errorf("dhcpsrv: offer hold %v under 1 s, or negative workers %d or queue %d", cfg.OfferHold, cfg.Workers, cfg.Queue)
	}
	s := &Server{cfg: cfg, log: cfg.Log, faults: bounds.NewLog(cfg.Log, faultLines), probes: make(chan struct{}, maxProbes), rate: rateLimit{most: cfg.ClientRate}, watching: make(chan struct{}, 1)}
	if _, ok := cfg.Prober.(BatchProber); ok {
		s.probes = make(chan struct{}, maxBatchProbes)
	}
	s.stocking = [2]stocking{newStocking(), newStocking()}
	s.progress = sync.NewCond(&s.mu)
	s.scratch.New = func() any { return new(scratch) }
	if cfg.Hosts != nil {
		s.hosts = newHosts(cfg.HostCache)
	}
	s.newVRF("")
	s.indexVRFs()
	// A new number for each start tells the partner that its acknowledgements of the last run are
	// void.
	s.failover.incarnation = rand.Uint64()
	s.loadMemory(context.Background())
	s.clock = reckoning{readWall: wallOf(cfg.Clock), uptime: machine}
	if err := s.load(context.Background()); err != nil {
		return nil, fmt.Errorf("dhcpsrv: load leases: %w", err)
	}
	s.startClock()
	return s, nil
}

// load enters the stored leases. They get their subnets and identities from the first snapshot.
func (s *Server) load(ctx context.Context) error {
	for l, err := range s.cfg.Store.Load(ctx) {
		if err != nil {
			return err
		}
		// A store that returns such a lease is damaged. To start without its leases would give
		// addresses out twice.
		if !l.Addr.Is4() && !is6(l.Addr) || l.State < Bound || l.State > Declined {
			return fmt.Errorf("lease of %v in state %v makes no sense", l.Addr, l.State)
		}
		v := s.vrf(l.VRF)
		if v == nil {
			v = s.newVRF(l.VRF)
		}
		if l.Addr.Is6() {
			if err := v.v6.load(l); err != nil {
				return err
			}
			continue
		}
		e := newEntry(&l)
		if v.v4.byAddr[e.addr] != nil {
			return fmt.Errorf("two leases of %v", l.Addr)
		}
		v.v4.insert(e)
	}
	return nil
}

package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/internal/bounds"
)

// Config configures a follower.
type Config struct {
	// Server gets the members.
	Server  *dnssrv.Server
	Sources []Source
	// Accept decides about each member of a catalog; nil = all are accepted.
	Accept func(catalog string, m Member) bool
	// Changed is called when a member appears (was is zero), changes or vanishes (is is zero),
	// before its records are fetched. It must not call the follower. If nil, nothing is called.
	Changed func(catalog string, was, is Member)
	// MaxMembers bounds the members of a catalog; one with more is refused whole. 0 = 1,000.
	MaxMembers int
	// Log receives failures. If nil, they are discarded.
	Log *slog.Logger
}

// A Source is a catalog to follow.
type Source struct {
	Name    string
	Primary string // host:port of the server of the catalog and of its members
	// Key signs the transfers (TSIG). If zero, they are not signed.
	Key dnssrv.Key
}

const (
	defaultMembers = 1000
	leastRefresh   = 30 * time.Second
	mostRefresh    = time.Hour
)

// logLines bounds the lines about zones that fail.
var logLines = bounds.Rate{Burst: 50, Every: 10 * time.Second}

// A Follower keeps a server's zones as catalogs list them.
type Follower struct {
	cfg   Config
	log   *bounds.Log
	feeds []*feed

	mu    sync.Mutex       // guards the fields below and the feeds' zones
	owner map[string]*feed // by member zone
}

// feed follows one source.
type feed struct {
	*Follower
	source Source
	wake   chan struct{}
	zones  map[string]*zone // the catalog and its members
}

// zone is a zone that is followed. Its feed alone changes it, with the follower's lock held.
type zone struct {
	name    string
	member  Member // zero for the catalog
	has     bool   // it was fetched
	serial  uint32
	sets    map[[2]string]bool // name and type of what was added
	next    time.Time          // when to ask
	fails   int
	fetched time.Time
	expire  time.Duration
}

// New returns a follower that fetches nothing until Run. The error names the field.
func New(cfg Config) (*Follower, error) {
	if cfg.Server == nil {
		return nil, errors.New("catalog: Server: is needed")
	}
	f := &Follower{cfg: cfg, owner: map[string]*feed{}}
	f.cfg.MaxMembers = cmp.Or(max(cfg.MaxMembers, 0), defaultMembers)
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f.log = bounds.NewLog(log, logLines)
	for _, s := range cfg.Sources {
		apex, ok := name(s.Name)
		if !ok {
			return nil, fmt.Errorf("catalog: Sources: Name: %q is not a domain name", s.Name)
		}
		if _, _, err := net.SplitHostPort(s.Primary); err != nil {
			return nil, fmt.Errorf("catalog: Sources: Primary: %q is not host:port", s.Primary)
		}
		if s.Key != (dnssrv.Key{}) {
			if err := s.Key.Check(); err != nil {
				return nil, fmt.Errorf("catalog: Sources: Key: %w", err)
			}
		}
		s.Name = apex
		f.feeds = append(f.feeds, &feed{Follower: f, source: s, wake: make(chan struct{}, 1), zones: map[string]*zone{apex: {name: apex}}})
	}
	return f, nil
}

// Members returns what a catalog lists, in order of zones.
func (f *Follower) Members(catalog string) (out []Member) {
	apex, _ := name(catalog)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.feeds {
		if d.source.Name != apex {
			continue
		}
		for _, z := range d.zones {
			if z.member.Zone != "" {
				out = append(out, z.member)
			}
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Zone, b.Zone) })
	return out
}

// Notified fetches a zone at once, if it is followed and the notice is its primary's. It reports
// whether it is; see [dnssrv.Config].Notified.
func (f *Follower) Notified(zone string, from netip.Addr) bool {
	apex, _ := name(zone)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.feeds {
		z := d.zones[apex]
		at, err := netip.ParseAddrPort(d.source.Primary)
		// A primary that is given by name may have any address; its notices are taken, and cost one
		// question each.
		if z == nil || err == nil && at.Addr().Unmap() != from.Unmap() {
			continue
		}
		z.next = time.Time{}
		select {
		case d.wake <- struct{}{}:
		default:
		}
		return true
	}
	return false
}

// Run follows the sources until ctx ends, and then returns nil. The members stay in the server.
func (f *Follower) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for _, d := range f.feeds {
		all.Go(func() { d.run(ctx) })
	}
	return nil
}

func (d *feed) run(ctx context.Context) {
	for ctx.Err() == nil {
		d.mu.Lock()
		var due *zone
		for _, z := range d.zones {
			if due == nil || z.next.Before(due.next) || z.next.Equal(due.next) && z.name < due.name {
				due = z
			}
		}
		wait := time.Until(due.next)
		d.mu.Unlock()
		if wait > 0 {
			select {
			case <-ctx.Done():
			case <-d.wake: // perhaps for another zone
			case <-time.After(wait):
			}
			continue
		}
		d.check(ctx, due)
	}
}

// check fetches a zone if its primary has another serial.
func (d *feed) check(ctx context.Context, z *zone) {
	asked := time.Now() // a NOTIFY after this leads to another question
	d.mu.Lock()
	z.next = asked.Add(mostRefresh)
	d.mu.Unlock()
	soa, err := d.source.soaOf(ctx, z.name)
	if err == nil && (!z.has || soa.Serial != z.serial) {
		var c content
		if c, err = d.source.fetch(ctx, z.name); err == nil {
			soa = c.soa
			if z.member.Zone == "" {
				err = d.list(c)
			} else {
				d.mu.Lock()
				err = d.serve(z, c)
				d.mu.Unlock()
			}
		}
	}
	if ctx.Err() != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	z.fails++
	pause := min(leastRefresh<<min(z.fails-1, 10), mostRefresh)
	if err == nil {
		z.has, z.serial, z.fails, z.fetched = true, soa.Serial, 0, time.Now()
		z.expire = time.Duration(soa.Expire) * time.Second
		pause = min(max(time.Duration(soa.Refresh)*time.Second, leastRefresh), mostRefresh)
	} else {
		d.log.Warn("zone not transferred", "zone", z.name, "server", d.source.Primary, "err", err)
		d.expire(z)
	}
	if !z.next.IsZero() { // no NOTIFY arrived meanwhile
		z.next = time.Now().Add(pause)
	}
}

// expire stops to serve a zone that could not be checked for too long (RFC 1035 section 3.3.13).
func (d *feed) expire(z *zone) {
	if z.member.Zone != "" && z.has && z.expire > 0 && time.Since(z.fetched) > z.expire {
		d.drop(z)
	}
}

// drop removes a member's records.
func (d *feed) drop(z *zone) {
	if z.has {
		if err := d.cfg.Server.Update(dnssrv.Change{RemoveZones: []string{z.name}}); err != nil {
			d.log.Warn("zone not removed", "zone", z.name, "err", err)
		}
	}
	z.has, z.sets = false, nil
}

// serve adds what was fetched of a member, and removes what its primary has removed.
func (d *feed) serve(z *zone, c content) error {
	if d.zones[z.name] != z {
		return nil // another catalog took it over meanwhile
	}
	if _, exists := d.cfg.Server.Serial(z.name); exists && !z.has {
		return errors.New("the server has a zone of this name, which is not of this catalog")
	}
	now := make(map[[2]string]bool, len(c.change.Set))
	for _, s := range c.change.Set {
		now[[2]string{s.Name, s.Type}] = true
	}
	for at := range z.sets {
		if !now[at] {
			c.change.Set = append(c.change.Set, dnssrv.RRset{Name: at[0], Type: at[1]})
		}
	}
	err := d.cfg.Server.Update(c.change)
	if err == nil {
		z.sets = now
	}
	return err
}

// list makes the members what a catalog lists.
func (d *feed) list(c content) error {
	listed, err := Parse(d.source.Name, c.change.Set)
	if err != nil {
		return err
	}
	if len(listed) > d.cfg.MaxMembers {
		return fmt.Errorf("it lists %d zones, more than %d; see Config.MaxMembers", len(listed), d.cfg.MaxMembers)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	stays := map[string]bool{d.source.Name: true}
	for _, m := range listed {
		if d.cfg.Accept != nil && !d.cfg.Accept(d.source.Name, m) || !d.mayTake(m) {
			continue
		}
		stays[m.Zone] = true
		d.take(m)
	}
	for name, z := range d.zones {
		if stays[name] {
			continue
		}
		delete(d.zones, name)
		if d.owner[name] == d {
			delete(d.owner, name)
			d.drop(z)
		}
		d.tell(z.member, Member{})
	}
	return nil
}

// mayTake reports whether a member is of no other catalog, or of one that lets it go.
func (d *feed) mayTake(m Member) bool {
	had := d.owner[m.Zone]
	if had == nil || had == d {
		return true
	}
	if z := had.zones[m.Zone]; z != nil && z.member.COO == d.source.Name {
		return true
	}
	d.log.Warn("zone not taken over: its catalog does not let it go", "zone", m.Zone)
	return false
}

// take adds or changes a member.
func (d *feed) take(m Member) {
	z := d.zones[m.Zone]
	if z == nil {
		z = &zone{name: m.Zone}
		if had := d.owner[m.Zone]; had != nil && had != d {
			had.drop(had.zones[m.Zone])
			delete(had.zones, m.Zone)
		}
		d.zones[m.Zone], d.owner[m.Zone] = z, d
	}
	if z.member.equal(m) {
		return
	}
	// With another ID it is another zone of the same name (RFC 9432 section 5.4).
	if z.member.ID != "" && z.member.ID != m.ID {
		d.drop(z)
		z.next = time.Time{}
	}
	was := z.member
	z.member = m
	d.tell(was, m)
}

func (d *feed) tell(was, is Member) {
	if d.cfg.Changed != nil {
		d.cfg.Changed(d.source.Name, was, is)
	}
}

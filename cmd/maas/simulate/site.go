package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/store/inventory"
)

// A site holds all that one run simulates. Its methods are called by one goroutine, but for those
// of history, which what is simulated calls too.
type site struct {
	opts        Options
	dir         string
	began       time.Time
	cables      *cables
	regions     []*regionNode
	racks       []*rackNode
	halls       []*hall
	hosts       []*host
	books       books
	partedSince time.Time    // see spare
	boots       atomic.Int64 // that ended in a system
	log         *slog.Logger
	calls       int        // to the API, made by operators
	dialing     sync.Mutex // guards region and life of regions, which racks read
	plugging    sync.Mutex // guards hosts, which BMCs read

	history
}

// hall is a network with the racks that serve it.
type hall struct {
	segment *boottest.Segment
	racks   []*rackNode
	subnet  ipam.Subnet
}

// history holds the events of a run.
type history struct {
	mu         sync.Mutex
	began      time.Time
	lines      []line
	violations []Violation
}

// line is a line of a history.
type line struct {
	at   time.Duration
	host string // that said it; "" = it is of the story
	text string
}

// logf adds a line of the story.
func (h *history) logf(format string, args ...any) { h.add("", format, args...) }

// add adds a line that a host said.
func (h *history) add(host, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line{time.Since(h.began), host, fmt.Sprintf(format, args...)})
}

// text returns the lines. What hosts say at one instant has no order in time, so it is ordered by
// their names.
func (h *history) text() (out []string) {
	slices.SortStableFunc(h.lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.host, b.host)) })
	for _, l := range h.lines {
		if l.host != "" {
			l.text = l.host + ": " + l.text
		}
		out = append(out, fmt.Sprintf("%12v  %s", l.at.Round(time.Millisecond), l.text))
	}
	return out
}

// broken records that an invariant does not hold.
func (h *history) broken(invariant, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	h.logf("BROKEN %s: %s", invariant, what)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.violations = append(h.violations, Violation{invariant, what, time.Since(h.began)})
}

// Files that the simulated machines load and never run, by directory.
var bootFiles = map[string][]string{"files": {"kernel", "initrd"}, "loaders": {"shimx64.efi", "grubx64.efi", "snponly.efi"}}

// writeFiles makes the boot files.
func (s *site) writeFiles() error {
	for dir, names := range bootFiles {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o700); err != nil {
			return err
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(s.dir, dir, name), []byte(name), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// files returns a directory of boot files.
func (s *site) files(dir string) fs.FS { return os.DirFS(filepath.Join(s.dir, dir)) }

// rackPlan says which racks a site has, and on which network.
var rackPlan = []struct {
	name string
	hall int
	addr string
}{{"alpha", 0, "192.0.2.1"}, {"beta", 0, "192.0.2.2"}, {"gamma", 1, "198.51.100.1"}}

var hallPrefixes = []string{"192.0.2.0/24", "198.51.100.0/24"}

// newSite makes a site in an empty directory and starts it.
func newSite(ctx context.Context, dir string, opts Options) (*site, error) {
	s := &site{opts: opts, dir: dir, cables: newCables(opts.Seed), log: slog.New(slog.DiscardHandler), books: newBooks()}
	s.began = time.Now()
	s.history.began = s.began
	if opts.Log != nil {
		s.log = slog.New(opts.Log)
	}
	if err := s.writeFiles(); err != nil {
		return nil, err
	}
	ca, err := enrol.NewCA()
	if err != nil {
		return nil, err
	}
	for i, prefix := range hallPrefixes {
		seg := boottest.NewSegment(netip.MustParsePrefix(prefix))
		seg.Link, seg.Delay = fmt.Sprint("hall", i), time.Millisecond
		s.halls = append(s.halls, &hall{segment: seg})
	}
	for i, plan := range rackPlan {
		r := &rackNode{site: s, name: plan.name, hall: s.halls[plan.hall], addr: netip.MustParseAddr(plan.addr), dir: filepath.Join(dir, plan.name), late: time.Duration(i*137) * time.Microsecond}
		r.node = r.hall.segment.Server(r.addr)
		r.hall.racks = append(r.hall.racks, r)
		if r.identity, err = ca.Issue(plan.name, 365*24*time.Hour); err != nil {
			return nil, err
		}
		s.racks = append(s.racks, r)
	}
	for _, name := range []string{"region-1", "region-2"} {
		s.regions = append(s.regions, &regionNode{site: s, name: name})
	}
	if err := s.found(ctx); err != nil {
		return nil, err
	}
	return s, s.startAll()
}

// found makes the database of the site.
func (s *site) found(ctx context.Context) error {
	if err := os.MkdirAll(s.regionDir(), 0o700); err != nil {
		return err
	}
	r, err := region.Open(ctx, s.regionConfig("founder"))
	if err != nil {
		return err
	}
	inv := r.Inventory()
	for i, h := range s.halls[1:] { // the first one is in the default fabric
		fabric, err := inv.Fabrics.Create(ctx, ipam.Fabric{Name: fmt.Sprint("hall", i+1)})
		if err != nil {
			return errors.Join(err, r.Close())
		}
		vlan, err := inv.DefaultVLAN(ctx, fabric.ID)
		if err == nil {
			_, err = inv.Subnets.Create(ctx, ipam.Subnet{Prefix: h.segment.Prefix(), VLANID: vlan.ID})
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
	for _, k := range s.racks {
		subnet, err := inv.Bootstrap(ctx, inventory.Bootstrap{
			Rack: k.name, Link: k.hall.segment.Link, Address: netip.PrefixFrom(k.addr, k.hall.segment.Prefix().Bits()),
		})
		if err != nil {
			return errors.Join(err, r.Close())
		}
		if k.hall.subnet = subnet; k == k.hall.racks[0] {
			continue
		}
		vlan, err := inv.VLANs.Get(ctx, subnet.VLANID)
		if err == nil {
			vlan.SecondaryRack = k.name
			_, err = inv.VLANs.Update(ctx, vlan)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
	err = inv.Profiles.SetDefault(ctx, &pxe.Profile{Name: "site", Kernel: "kernel", Initrd: []string{"initrd"}, Cmdline: "quiet maas.done={done}"})
	return errors.Join(err, r.Close())
}

func (s *site) regionDir() string { return filepath.Join(s.dir, "region") }

func (s *site) regionConfig(name string) region.Config {
	return region.Config{
		Dir: s.regionDir(), Name: name, Kinds: power.NewRegistry(s.bench()), Files: map[string]fs.FS{".": s.files("files")}, Log: s.log.With("region", name),
	}
}

func (s *site) startAll() error {
	for _, r := range s.regions {
		if err := r.start(); err != nil {
			return err
		}
	}
	for _, r := range s.racks {
		if err := r.start(); err != nil {
			return err
		}
	}
	return nil
}

// end stops everything. What does not end is found by the bubble.
func (s *site) end() {
	for _, h := range s.hosts {
		h.machine.PowerOff()
	}
	for _, r := range s.racks {
		r.crash()
	}
	for _, r := range s.regions {
		r.crash()
	}
}

// hallOf returns the network of an address.
func (s *site) hallOf(addr netip.Addr) *hall {
	for _, h := range s.halls {
		if h.segment.Prefix().Contains(addr) {
			return h
		}
	}
	return s.halls[0]
}

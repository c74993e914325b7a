package console_test

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/console"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// large is a site of 10,000 machines in 200 subnets. It changes only when a test says so.
type large struct {
	model  inventory.Model
	change int64
}

func newLarge() *large {
	l := &large{}
	m := &l.model
	m.Revision = 1
	m.Fabrics = []ipam.Fabric{{ID: 1, Name: "fabric-1"}}
	m.Zones, m.Pools = []inventory.AvailabilityZone{{ID: 1, Name: "default"}}, []inventory.ResourcePool{{ID: 1, Name: "default"}}
	m.Domains = []inventory.Domain{{ID: 1, Name: "maas"}}
	for i := range int64(200) {
		base := netip.AddrFrom4([4]byte{10, byte(i), 0, 0})
		m.VLANs = append(m.VLANs, ipam.VLAN{ID: i + 1, FabricID: 1, VID: int(i), DHCP: true, PrimaryRack: "rack-1"})
		m.Subnets = append(m.Subnets, ipam.Subnet{ID: i + 1, VLANID: i + 1, Name: fmt.Sprintf("row %d", i), Prefix: netip.PrefixFrom(base, 22)})
		m.Ranges = append(m.Ranges, ipam.Range{ID: i + 1, SubnetID: i + 1, Type: ipam.RangeDynamic, Start: netip.AddrFrom4([4]byte{10, byte(i), 1, 0}), End: netip.AddrFrom4([4]byte{10, byte(i), 2, 255})})
	}
	for i := range int64(10000) {
		subnet := i%200 + 1
		mac := net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}
		link := ipam.Allocation{ID: i + 1, Type: ipam.AllocDiscovered, SubnetID: subnet, InterfaceID: i + 1, Addr: netip.AddrFrom4([4]byte{10, byte(subnet - 1), 1, byte(i / 200)})}
		m.Machines = append(m.Machines, inventory.Machine{
			ID: i + 1, SystemID: fmt.Sprintf("s%05d", i), Version: 1, Hostname: fmt.Sprintf("node-%d", i), FQDN: fmt.Sprintf("node-%d.maas", i), DomainID: 1, ZoneID: 1, PoolID: 1,
			Status: inventory.StatusReady, Power: inventory.Power{Type: "ipmi", State: "on"}, Tags: []string{"rack-row", "gpu"},
			Interfaces: []inventory.Interface{{Interface: ipam.Interface{ID: i + 1, Name: "eth0", MAC: mac, VLANID: subnet, Boot: true, Enabled: true}, Links: []ipam.Allocation{link}}},
		})
	}
	for i := range 20 {
		m.Racks = append(m.Racks, inventory.Rack{ID: int64(i + 1), Name: fmt.Sprintf("rack-%d", i+1), Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.1/22", i))}}}})
	}
	return l
}

// Follow implements console.Follower.
func (l *large) Follow(_ context.Context, m *inventory.Model) (*inventory.Changes, error) {
	if m.Revision == l.model.Revision+l.change {
		return &inventory.Changes{}, nil
	}
	*m = l.model
	m.Revision += l.change
	return nil, nil
}

// Find implements console.LeaseLog.
func (l *large) Find(_ context.Context, f inventory.LeaseFilter) (out []inventory.Lease, err error) {
	for i := range l.model.Machines {
		m := &l.model.Machines[i]
		if f.Prefixes || f.Among != nil && !slices.Contains(f.Among, m.Interfaces[0].Links[0].Addr) {
			continue
		}
		out = append(out, inventory.Lease{Addr: m.Interfaces[0].Links[0].Addr, MAC: m.Interfaces[0].MAC, FQDN: m.FQDN, SystemID: m.SystemID, State: inventory.LeaseActive})
	}
	return out, nil
}

// History implements console.LeaseLog.
func (l *large) History(context.Context, inventory.PeriodFilter) ([]inventory.LeasePeriod, error) {
	return make([]inventory.LeasePeriod, 20), nil
}

// Of implements console.BootLog.
func (l *large) Of(context.Context, ...net.HardwareAddr) (out []pxe.Attempt, err error) {
	for range 5 {
		out = append(out, l.boot(1))
	}
	return out, nil
}

// LastStep implements console.BootLog.
func (l *large) LastStep(context.Context) (int64, error) { return 1000, nil }

// Since implements console.BootLog: a thousand machines boot.
func (l *large) Since(_ context.Context, step int64, limit int) (out []pxe.Attempt, next int64, err error) {
	for ; step < 1000 && len(out) < limit; step++ {
		out = append(out, l.boot(int(step)))
	}
	return out, step, nil
}

func (l *large) boot(i int) pxe.Attempt {
	var a pxe.Attempt
	at := time.Now().Add(-10 * time.Second)
	for n, stage := range []pxe.Stage{pxe.StageOffer, pxe.StageLoader, pxe.StageConfig, pxe.StageKernel} {
		a = a.Next(pxe.Event{Time: at.Add(time.Duration(n) * time.Second), MAC: l.model.Machines[i].Interfaces[0].MAC, Stage: stage, Path: "debian/12/" + string(stage), Proto: "http", Method: "uefi-amd64-http", Bytes: 8 << 20, Duration: time.Second / 2})
	}
	return a
}

// largePages are the addresses of all pages of the large site.
var largePages = []string{
	"/", "/boots", "/boots?page=3", "/machines", "/machines?q=node-99&page=2", "/machines/s00001", "/machines/new", "/networks", "/networks?page=3", "/networks/subnets/7",
	"/networks/subnets/7?page=2", "/leases", "/leases?q=10.7.", "/devices", "/names", "/racks", "/racks/rack-1", "/doctor", "/events", "/audit", "/docs", "/docs/troubleshooting",
}

func largeSite(t testing.TB) (*large, *site) {
	l := newLarge()
	return l, newSite(t, func(cfg *console.Config) { cfg.Site, cfg.Leases, cfg.Boots, cfg.Audit = l, l, l, fullLog{} })
}

// fullLog is an audit log whose entries have all the differences they may have.
type fullLog struct{}

// Find implements console.EventLog.
func (fullLog) Find(_ context.Context, f inventory.EventFilter) (out []inventory.Event, err error) {
	first := int64(1001)
	if f.Before > 0 {
		first = f.Before
	}
	for i := range int64(f.Limit) {
		e := inventory.Event{ID: first - int64(f.Limit) + i, Kind: "machine", User: "ada", Description: "changed", Differences: &inventory.Differences{More: 3}}
		for range 40 {
			o := inventory.ObjectChange{Kind: "machine", ID: 7, Name: "node-7", Op: "update"}
			for _, field := range []string{"description", "hostname", "pool_id"} {
				o.Fields = append(o.Fields, inventory.FieldChange{Name: field, Old: "<before>", New: strings.Repeat("a", 20)})
			}
			e.Differences.Objects = append(e.Differences.Objects, o)
		}
		out = append(out, e)
	}
	return out, nil
}

// A page of the audit log ends where its differences become too long, and the next one begins there.
func TestLongDifferencesContinue(t *testing.T) {
	_, s := largeSite(t)
	b := s.as(t, "ada")
	page := b.get("/audit")
	if n := strings.Count(page, "<details"); n < 1 || n > 10 || !strings.Contains(page, fmt.Sprint("before=", 1001-n)) {
		t.Errorf("%d entries, and the next page begins elsewhere:\n%.3000s", n, page)
	}
}

// maxPage bounds what a page transfers, without the files that browsers keep.
const maxPage = 100 << 10

// Pages of a large site are small, and all together with the files stay below 120 kB at a first
// visit.
func TestPagesOfALargeSiteAreSmall(t *testing.T) {
	_, s := largeSite(t)
	b := s.as(t, "ada")
	most := 0
	for _, path := range largePages {
		n := len(b.get(path))
		if n > maxPage {
			t.Errorf("%s has %d bytes", path, n)
		}
		most = max(most, n)
	}
	files := 0
	for _, name := range []string{"htmx-2.0.11.min.js", "htmx-ext-sse-2.2.4.min.js", "style.css", "icon.svg"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/static/"+name, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		s.page.ServeHTTP(w, r)
		files += w.Body.Len()
	}
	if most+files > 120_000 {
		t.Errorf("the largest page and the files have %d + %d bytes", most, files)
	}
	t.Logf("largest page %d bytes, files %d bytes", most, files)
}

// BenchmarkPages measures the pages of a large site; "changed" reads a site that has changed.
func BenchmarkPages(b *testing.B) {
	l, s := largeSite(b)
	ada := s.as(b, "ada")
	for _, path := range largePages {
		name, err := url.PathUnescape(path)
		ok(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ada.get(path)
			}
		})
	}
	b.Run("changed", func(b *testing.B) {
		for b.Loop() {
			l.change++
			ada.get("/")
		}
	})
}

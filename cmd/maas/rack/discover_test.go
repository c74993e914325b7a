package rack_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/setting"
)

// discoverySite is a region and racks on one segment, which is theirs for discovery only.
type discoverySite struct {
	t       *testing.T
	region  *region.Region
	segment *discoverytest.Segment
}

func newDiscoverySite(t *testing.T) *discoverySite {
	s := &discoverySite{t: t, region: openRegion(t, t.TempDir()), segment: discoverytest.NewSegment()}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.region.Serve(ctx, region.Sockets{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.region.Close()
	})
	return s
}

// rack starts a rack with an address on the segment.
func (s *discoverySite) rack(name, addr string, mac byte) {
	s.t.Helper()
	link := discovery.Interface{
		Name: "eth0", MAC: discovery.MAC{2, 0, 0, 0, 1, mac}, Up: true, Ethernet: true, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)},
	}
	_, err := s.region.Inventory().RegisterRack(s.t.Context(), inventory.Rack{Name: name, Links: []inventory.RackLink{{Name: "eth0", MAC: link.MAC.String(), Addrs: link.Addrs}}})
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := rack.New(rack.Config{
		Dir: s.t.TempDir(), Dial: rpc.Loopback(s.region.RPC(), name), Files: files, Loaders: loaders, Log: slog.New(slog.DiscardHandler), Watch: []string{"eth0"},
		Links:    func() ([]discovery.Interface, error) { return []discovery.Interface{link}, nil },
		OpenLink: func(string, discovery.Source) (discovery.Conn, error) { return s.segment.Port(link), nil },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, rack.Sockets{}) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		r.Close()
	})
}

func (s *discoverySite) api(method, path string, form url.Values, out any) int {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.region.Local().ServeHTTP(w, r.WithContext(s.t.Context()))
	if w.Code == 200 {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			s.t.Fatalf("%s: %v", w.Body, err)
		}
	}
	return w.Code
}

func (s *discoverySite) seen() map[string]inventory.Discovery {
	s.t.Helper()
	all, err := s.region.Inventory().Discoveries.List(s.t.Context(), inventory.AllDiscoveries)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]inventory.Discovery{}
	for _, d := range all {
		out[d.Addr.String()] = d
	}
	return out
}

func hostMAC(n byte) discovery.MAC { return discovery.MAC{2, 0, 0, 0, 2, n} }

const scanPath = "/MAAS/api/2.0/discovery/?op=scan"

func TestScanIsDoneByOneRack(t *testing.T) {
	s := newDiscoverySite(t)
	for n := range byte(20) {
		s.segment.Host(hostMAC(n), netip.AddrFrom4([4]byte{192, 0, 2, 50 + n}))
	}
	s.rack("rack", "192.0.2.1/24", 1)
	s.rack("rack-2", "192.0.2.2/24", 2)
	eventually(t, "both racks connect", func() bool { return len(s.region.RPC().Racks()) == 2 })
	var scan, second maasapi.Scan
	eventually(t, "a scan starts", func() bool {
		s.api("POST", scanPath, url.Values{"force": {"true"}}, &scan)
		return scan.ID != ""
	})
	if len(scan.Started) != 1 || len(scan.Racks) != 1 || !scan.Running {
		t.Fatalf("got %+v", scan)
	}
	if s.api("POST", scanPath, url.Values{"cidr": {"192.0.2.0/24"}}, &second); len(second.Started) != 0 || second.Skipped["192.0.2.0/24"] == "" {
		t.Errorf("a second scan: %+v", second)
	}
	eventually(t, "the scan ends", func() bool {
		s.api("GET", "/api/v1/discovery/scans/"+scan.ID, nil, &scan)
		return !scan.Running
	})
	// The other rack's address does not answer here: only its port for discovery is on the segment.
	if scan.Found != 20 || scan.Done != scan.Total || scan.Racks[0].Error != "" {
		t.Errorf("got %+v", scan)
	}
	eventually(t, "the region knows all", func() bool {
		hosts := 0
		for a := range s.seen() {
			if strings.HasPrefix(a, "192.0.2.5") || strings.HasPrefix(a, "192.0.2.6") {
				hosts++
			}
		}
		return hosts == 20
	})
	// The subnet is free again, and a scan can be cancelled.
	if s.api("POST", scanPath, url.Values{"cidr": {"192.0.2.0/25"}, "slow": {"true"}}, &second); len(second.Started) != 1 {
		t.Fatalf("got %+v", second)
	}
	if code := s.api("DELETE", "/api/v1/discovery/scans/"+second.ID, nil, &second); code != 200 || second.Running || second.Racks[0].Error != "cancelled" {
		t.Errorf("%d %+v", code, second)
	}
}

func TestRacksObeyTheDiscoveryPolicy(t *testing.T) {
	s := newDiscoverySite(t)
	inv := s.region.Inventory()
	if err := inv.Settings.Set(t.Context(), setting.DiscoveryIgnore, "02:00:00:00:02:09"); err != nil {
		t.Fatal(err)
	}
	s.rack("rack", "192.0.2.1/24", 1)
	say := func(n byte) {
		s.segment.Send(discoverytest.ARP(hostMAC(n), netip.AddrFrom4([4]byte{192, 0, 2, 50 + n}), discovery.MAC{}, addr, false))
	}
	eventually(t, "the rack listens", func() bool {
		say(9)
		say(7)
		return len(s.seen()) > 0
	})
	if _, bad := s.seen()["192.0.2.59"]; bad {
		t.Error("what is ignored was reported")
	}
	// Beacons tell the racks of each other.
	s.rack("rack-2", "192.0.2.2/24", 2)
	eventually(t, "the racks hear each other", func() bool {
		peers, err := inv.Topology.Peers(t.Context())
		return err == nil && len(peers) == 2
	})
	if err := inv.Settings.Set(t.Context(), setting.NetworkDiscovery, "disabled"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the racks stop listening", func() bool {
		if err := inv.Discoveries.Clear(t.Context(), inventory.ClearAll); err != nil {
			t.Fatal(err)
		}
		say(7)
		time.Sleep(100 * time.Millisecond)
		return len(s.seen()) == 0
	})
}

func TestSubnetsAreScannedRegularly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newDiscoverySite(t)
		inv := s.region.Inventory()
		s.segment.Host(hostMAC(7), netip.MustParseAddr("192.0.2.57"))
		s.rack("rack", "192.0.2.1/24", 1)
		if err := inv.Scans.SetActive(t.Context(), network, true); err != nil {
			t.Fatal(err)
		}
		if err := inv.Settings.Set(t.Context(), setting.ActiveDiscoveryInterval, "600"); err != nil {
			t.Fatal(err)
		}
		other := netip.MustParsePrefix("198.51.100.0/24")
		if _, err := inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: other, ActiveDiscovery: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Minute)
		first, err := inv.Scans.List(t.Context())
		if err != nil || len(first) != 1 || first[0].Rack != "rack" || s.seen()["192.0.2.57"].Rack != "rack" {
			t.Fatalf("scans %+v, %v; seen %+v", first, err, s.seen())
		}
		time.Sleep(time.Until(first[0].Started.Add(9 * time.Minute)))
		if again, _ := inv.Scans.List(t.Context()); len(again) != 1 || !again[0].Started.Equal(first[0].Started) {
			t.Errorf("scanned before its time: %+v", again)
		}
		time.Sleep(7 * time.Minute)
		if again, _ := inv.Scans.List(t.Context()); len(again) != 1 || !again[0].Started.After(first[0].Started) {
			t.Errorf("not scanned in time: %+v", again)
		}
	})
}

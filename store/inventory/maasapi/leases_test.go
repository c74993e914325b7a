package maasapi_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

func TestLeases(t *testing.T) {
	s := newSite(t)
	s.visits(t, []visit{
		{"POST subnets/", "cidr=192.0.2.0/24&name=a", 200, ""},
		{"POST subnets/", "cidr=198.51.100.0/24&name=b", 200, ""},
		{"POST ipranges/", "type=dynamic&start_ip=192.0.2.100&end_ip=192.0.2.120", 200, ""},
		{"POST reservedips/", "ip=198.51.100.7&mac_address=02:00:00:00:00:07", 200, ""},
		{"POST ipaddresses/?op=reserve", "ip=192.0.2.9&hostname=vip", 200, `"hostname":"vip"`},
	})
	err := s.inv.Leases.Record(t.Context(), inventory.LeaseFact{
		MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("192.0.2.101"), Hostname: "laptop", Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.visits(t, []visit{
		{"GET /api/v1/leases", "", 200, `[{"ip":"192.0.2.101","mac_address":"02:00:00:00:00:01","hostname":"laptop" & "subnet":"192.0.2.0/24","state":"active" & "ip":"198.51.100.7" & "state":"reserved","began":null,"expires":null`},
		{"GET /api/v1/leases?limit=1&offset=1", "", 200, `[{"ip":"198.51.100.7"`},
		{"GET /api/v1/leases?subnet=b", "", 200, `[{"ip":"198.51.100.7"`},
		{"GET /api/v1/leases?subnet=c", "", 400, `"subnet"`},
		{"GET /api/v1/leases?mac_address=02-00-00-00-00-01", "", 200, `[{"ip":"192.0.2.101"`},
		{"GET /api/v1/leases?mac_address=nonsense", "", 400, `"mac_address"`},
		{"GET /api/v1/leases?name=LAP&state=active", "", 200, `[{"ip":"192.0.2.101"`},
		{"GET /api/v1/leases?state=expired", "", 200, `[]`},
		{"GET /api/v1/leases?state=lost", "", 400, `none of active, expired and reserved`},
		{"GET /api/v1/leases/192.0.2.101", "", 200, `{"ip":"192.0.2.101"`},
		{"GET /api/v1/leases/192.0.2.102", "", 404, "lease of 192.0.2.102 does not exist"},
		{"GET /api/v1/leases/nothing", "", 400, `"ip"`},
		{"GET ipaddresses/?all=true", "", 200, `"ip":"192.0.2.9" & "hostname":"vip" & "ip":"192.0.2.101" & "hostname":"laptop"`},
	})
}

func TestPrefixLeases(t *testing.T) {
	s := newSite(t)
	s.visits(t, []visit{{"POST subnets/", "cidr=2001:db8::/64&name=six&delegated_prefixes=2001:db8:f000::/48-60,2001:db8:e000::/56-64", 200, `"delegated_prefixes":["2001:db8:f000::/48-60","2001:db8:e000::/56-64"]`}})
	err := s.inv.Leases.Record(t.Context(), inventory.LeaseFact{
		MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("2001:db8:f000:10::"), Bits: 60, ClientID: "0003", Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	const lease = `"ip":"2001:db8:f000:10::","prefix":"2001:db8:f000:10::/60","client_id":"0003","mac_address":"02:00:00:00:00:01" & "subnet":"2001:db8::/64","state":"active"`
	s.visits(t, []visit{
		{"GET /api/v1/leases", "", 200, lease},
		{"GET /api/v1/leases/2001:db8:f000:1f::7", "", 200, lease},
		{"GET /api/v1/leases/2001:db8:f000:10::%2F60", "", 200, lease},
		{"GET /api/v1/leases/2001:db8:f000:20::", "", 404, ""},
		{"GET /api/v1/leases/2001:db8:f000:10::1%2F60", "", 400, "neither an IP address nor a delegated prefix"},
		{"GET /api/v1/leases/history?ip=2001:db8:f000:1f::7", "", 200, `"prefix":"2001:db8:f000:10::/60"`},
		{"GET /api/v1/leases/history?ip=2001:db8:f000:10::/60", "", 200, `"prefix":"2001:db8:f000:10::/60"`},
	})
}

func TestLeaseHistory(t *testing.T) {
	s := newSite(t)
	s.visits(t, []visit{
		{"POST subnets/", "cidr=192.0.2.0/24&name=a", 200, ""},
		{"POST ipranges/", "type=dynamic&start_ip=192.0.2.100&end_ip=192.0.2.120", 200, ""},
	})
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for n, how := range []string{"released", ""} {
		f := inventory.LeaseFact{
			MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}, Addr: netip.MustParseAddr("192.0.2.101"), Hostname: "laptop", ClientID: "01ff",
			Time: began.Add(time.Duration(n) * time.Hour), Expires: began.Add(9 * time.Hour),
		}
		if err := s.inv.Leases.Record(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		f.Ended, f.How, f.Time = how != "", how, f.Time.Add(time.Minute)
		if err := s.inv.Leases.Record(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	const first = `{"ip":"192.0.2.101","subnet":"192.0.2.0/24","mac_address":"02:00:00:00:00:00","client_id":"01ff","hostname":"laptop",` +
		`"began":"2026-01-02T03:04:05Z","expires":"2026-01-02T12:04:05Z","ended":"2026-01-02T03:05:05Z","how":"released"}`
	const path = "GET /api/v1/leases/history"
	s.visits(t, []visit{
		{path, "", 200, `[{"ip":"192.0.2.101" & "mac_address":"02:00:00:00:00:01" & "ended":null,"how":"" & ` + first},
		{path + "?mac_address=02:00:00:00:00:00", "", 200, `[` + first + `]`},
		{path + "?ip=192.0.2.101&limit=1&offset=1", "", 200, `[` + first + `]`},
		{path + "?ip=::ffff:192.0.2.101&at=2026-01-02T03:04:30Z", "", 200, `[` + first + `]`},
		{path + "?at=100d", "", 200, ``},
		{path + "?ip=192.0.2.102", "", 200, `[]`},
		{path + "?ip=x", "", 400, `"ip"`},
		{path + "?at=yesterday", "", 400, `or how long ago`},
		{"GET events/?op=query&kind=lease", "", 200, `"type":"lease","level":"DEBUG" & 192.0.2.101 leased to 02:00:00:00:00:00 (laptop) & lease of 192.0.2.101 by 02:00:00:00:00:00 (laptop) released`},
		{"GET events/?op=query", "", 200, `"count":0`},
	})
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"2026-01-09T23:00:00Z": time.Hour, "2026-01-10T00:00:00+01:00": time.Hour, "2h": 2 * time.Hour, " 90m ago ": 90 * time.Minute, "3d ago": 72 * time.Hour, "0s": 0,
		"": -1, "ago": -1, "yesterday": -1, "-2h": -1, "2026-01-09": -1, "99999999d": -1, "d": -1, "-1d": -1, "9999999h": -1,
	} {
		got, err := maasapi.ParseTime(text, now)
		if want < 0 {
			if err == nil {
				t.Errorf("%q is %v", text, got)
			}
		} else if err != nil || now.Sub(got) != want {
			t.Errorf("%q is %v before, %v; want %v", text, now.Sub(got), err, want)
		}
	}
}

type leaseReleaser func(netip.Addr) error

func (f leaseReleaser) ReleaseLease(_ context.Context, a netip.Addr) error { return f(a) }

func TestReleaseLease(t *testing.T) {
	s := newSite(t)
	s.visits(t, []visit{{"DELETE /api/v1/leases/192.0.2.1", "", 501, "ending leases"}})
	s.serve(t, maasapi.Config{Leases: leaseReleaser(func(a netip.Addr) error {
		if a != netip.MustParseAddr("192.0.2.1") {
			return &inventory.NotFoundError{Kind: "lease", What: "of " + a.String()}
		}
		return nil
	})})
	s.visits(t, []visit{
		{"DELETE /api/v1/leases/192.0.2.1", "", 204, ""},
		{"DELETE /api/v1/leases/::ffff:192.0.2.1", "", 204, ""},
		{"DELETE /api/v1/leases/192.0.2.2", "", 404, "lease of 192.0.2.2 does not exist"},
		{"DELETE /api/v1/leases/nothing", "", 400, `"ip"`},
	})
}

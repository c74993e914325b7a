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

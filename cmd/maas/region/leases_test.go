package region_test

import (
	"net"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/gomaas/maas/ipam"
)

// A prefix that a rack has delegated is recorded, found by any of its addresses, and ends by the API.
func TestReleaseDelegatedPrefix(t *testing.T) {
	dir, rackDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		leases, err := journal.Open(filepath.Join(rackDir, "leases"))
		ok(t, err)
		now := time.Now()
		ok(t, leases.Commit(t.Context(), []dhcpsrv.Lease{
			{Addr: netip.MustParseAddr("2001:db8:f000:10::"), Bits: 60, State: dhcpsrv.Bound, DUID: []byte{0, 4, 9}, Start: now, Changed: now, End: now.Add(time.Hour)},
			{Addr: netip.MustParseAddr("2001:db8:e000:10::"), Bits: 60, State: dhcpsrv.Bound, DUID: []byte{0, 4, 8}, Start: now, Changed: now, End: now.Add(time.Hour)},
		}))
		ok(t, leases.Close())
		r := running(t, region.Config{Dir: dir})
		ask := func(method, path, form string, code int, text string) {
			t.Helper()
			w, body := httptest.NewRecorder(), strings.NewReader(form)
			req := httptest.NewRequest(method, path, body)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Local().ServeHTTP(w, req)
			if w.Code != code || !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s %s: %d %s, want %d %q", method, path, w.Code, w.Body, code, text)
			}
		}
		ask("POST", "/MAAS/api/2.0/subnets/", "cidr=2001:db8::/64&vlan=1&delegated_prefixes=2001:db8:f000::/48-60", 200, "")
		runRack(t, r, rackDir, nil)
		time.Sleep(time.Minute) // it reports what it has
		ask("GET", "/api/v1/leases/2001:db8:f000:15::7", "", 200, `"prefix":"2001:db8:f000:10::/60"`)
		ask("GET", "/api/v1/leases/2001:db8:e000:10::", "", 404, "") // no subnet delegates it
		ask("GET", "/api/v1/explain/ip/2001:db8:f000:15::7", "", 200, "part of 2001:db8:f000:10::/60, which is delegated to client 000409")
		ask("DELETE", "/api/v1/leases/2001:db8:f000:10::%2F60", "", 204, "")
		ask("DELETE", "/api/v1/leases/2001:db8:f000:10::%2F60", "", 404, "does not exist")
		time.Sleep(time.Minute)
		ask("GET", "/api/v1/leases/2001:db8:f000:15::7", "", 404, "")
		ask("GET", "/api/v1/leases/history?ip=2001:db8:f000:15::7", "", 200, `"how":"released"`)
		ask("GET", "/api/v1/explain/ip/2001:db8:f000:15::7?at=10s", "", 200, "before: part of 2001:db8:f000:10::/60, delegated to client 000409, then released")
	})
}

// A lease that a rack has given ends by the API, and is told apart from one that no rack has.
func TestReleaseLease(t *testing.T) {
	dir, rackDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		leases, err := journal.Open(filepath.Join(rackDir, "leases"))
		ok(t, err)
		now := time.Now()
		lease := dhcpsrv.Lease{
			Addr: netip.MustParseAddr("192.0.2.150"), State: dhcpsrv.Bound, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, Start: now, Changed: now, End: now.Add(time.Hour),
		}
		relayed := lease
		relayed.Addr = netip.MustParseAddr("198.51.100.7")
		ok(t, leases.Commit(t.Context(), []dhcpsrv.Lease{lease, relayed}))
		ok(t, leases.Close())
		r := running(t, region.Config{Dir: dir})
		release := func(addr string, code int, text string) {
			t.Helper()
			w := httptest.NewRecorder()
			r.Local().ServeHTTP(w, httptest.NewRequest("DELETE", "/api/v1/leases/"+addr, nil))
			if w.Code != code || !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %d %s, want %d %q", addr, w.Code, w.Body, code, text)
			}
		}
		vlans, err := r.Inventory().VLANs.List(t.Context())
		ok(t, err)
		behind, err := r.Inventory().VLANs.Create(t.Context(), ipam.VLAN{FabricID: vlans[0].FabricID, VID: 7, RelayVLANID: vlans[0].ID})
		ok(t, err)
		_, err = r.Inventory().Subnets.Create(t.Context(), ipam.Subnet{VLANID: behind.ID, Prefix: netip.MustParsePrefix("198.51.100.0/24")})
		ok(t, err)
		release("192.0.2.150", 503, "none is connected")
		runRack(t, r, rackDir, nil)
		release("192.0.2.150", 204, "")
		release("192.0.2.150", 404, "does not exist")
		release("198.51.100.7", 204, "") // behind a relay: the rack has no address there
		release("203.0.113.9", 404, "does not exist")
	})
}

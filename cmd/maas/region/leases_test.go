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
)

// A lease that a rack has given ends by the API, and is told apart from one that no rack has.
func TestReleaseLease(t *testing.T) {
	dir, rackDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		leases, err := journal.Open(filepath.Join(rackDir, "leases"))
		ok(t, err)
		now := time.Now()
		ok(t, leases.Commit(t.Context(), []dhcpsrv.Lease{{
			Addr: netip.MustParseAddr("192.0.2.150"), State: dhcpsrv.Bound, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, Start: now, Changed: now, End: now.Add(time.Hour),
		}}))
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
		release("192.0.2.150", 503, "none is connected")
		runRack(t, r, rackDir, nil)
		release("192.0.2.150", 204, "")
		release("192.0.2.150", 404, "does not exist")
		release("203.0.113.9", 404, "does not exist")
	})
}

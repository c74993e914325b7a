package console_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// Leases are listed by address over several pages, and found by any part of address, MAC or name.
func TestLeasesArePagedAndFound(t *testing.T) {
	s := newSite(t, nil)
	for i := range 60 {
		ok(t, s.inv.Leases.Record(t.Context(), inventory.LeaseFact{
			MAC: net.HardwareAddr{2, 0, 0, 0, 9, byte(i)}, Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(190 + i)}), Hostname: fmt.Sprint("phone-", i), Expires: time.Now().Add(time.Hour),
		}))
	}
	ada := s.as(t, "ada")
	for path, want := range map[string]struct{ has, not string }{
		"/leases": {"192.0.2.239<", "192.0.2.240<"}, "/leases?page=2": {"192.0.2.240<", "192.0.2.239<"}, "/leases?q=PHONE-7": {"192.0.2.197<", "192.0.2.196<"},
		"/leases?q=02:00:00:00:09:0a": {"192.0.2.200<", "192.0.2.201<"}, "/leases?q=2.209+phone": {"192.0.2.209<", "192.0.2.208<"},
		"/leases?q=phone%25": {"No lease fits", "192.0.2."}, "/leases?state=expired": {"No lease", "192.0.2."},
	} {
		if page := ada.get(path); !strings.Contains(page, want.has) || strings.Contains(page, want.not) {
			t.Errorf("%s has not %q, or has %q", path, want.has, want.not)
		}
	}
}

// An address that a client declined shows so until racks give it out again.
func TestDeclinedAddressesShow(t *testing.T) {
	s := newSite(t, nil)
	f := inventory.LeaseFact{MAC: net.HardwareAddr{2, 0, 0, 0, 9, 1}, Addr: netip.MustParseAddr("192.0.2.150"), Expires: time.Now().Add(time.Hour)}
	ok(t, s.inv.Leases.Record(t.Context(), f))
	f.Ended, f.How = true, "declined"
	ok(t, s.inv.Leases.Record(t.Context(), f))
	ada := s.as(t, "ada")
	if w := ada.do("GET", "/networks/subnets/1", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `<a class="n" href="/addresses/192.0.2.150"`) {
		t.Errorf("%d: the address is not shown as declined", w.Code)
	}
}

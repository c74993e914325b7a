package cli

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

func TestTop(t *testing.T) {
	since := time.Now().Add(-time.Hour)
	before := []maasapi.RackProxy{{Rack: "a", Stats: &proxy.Stats{Since: since, Requests: 100, Bytes: 1e6}}}
	now := []maasapi.RackProxy{{Rack: "a", Stats: &proxy.Stats{
		Since: since, Requests: 120, Bytes: 41e6, Cache: &proxy.CacheStats{Hits: 60, Objects: 3, Bytes: 5e6, Limit: 20e9},
		Subnets: []proxy.SubnetStats{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Requests: 120, Hits: 60, Bytes: 41e6, Saved: 1}},
		Objects: []proxy.Busy{{Name: "http://a/\x1b[2J", Requests: 2, Hits: 1, Bytes: 999}, {Name: "http://large/", Bytes: 1e9}},
	}}, {Rack: "b", Error: "not connected"}}
	var out strings.Builder
	writeTop(&out, difference(before, now, 2*time.Second), now, 10)
	for _, want := range []string{"10.0 ", "20.0 MB/s", "50%", "5.0 MB of 20.0 GB", "b     not connected", "192.0.2.0/24", "http://a/?[2J"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Index(out.String(), "http://large/") > strings.Index(out.String(), "http://a/") {
		t.Errorf("the busiest is not the first\n%s", out.String())
	}
	restarted := []maasapi.RackProxy{{Rack: "a", Stats: &proxy.Stats{Since: time.Now(), Requests: 3}}}
	if r := difference(now, restarted, 2*time.Second)["a"]; r.requests != 3 {
		t.Errorf("after a restart of the rack: %+v", r)
	}
}

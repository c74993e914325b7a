package rack_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

func TestExplainSaysWhatIsAnswered(t *testing.T) {
	reg := openRegion(t, t.TempDir())
	defer reg.Close()
	ctx, cancel := context.WithCancel(t.Context())
	regionDone := make(chan error, 1)
	go func() { regionDone <- reg.Serve(ctx, region.Sockets{}) }()
	segment, stop := serve(t, t.TempDir(), rpc.Loopback(reg.RPC(), "rack"))
	defer func() {
		stop()
		cancel()
		<-regionDone
	}()
	get := func(path string, into any) string {
		t.Helper()
		w := httptest.NewRecorder()
		reg.Local().ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/explain/"+path, nil))
		if into != nil {
			if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		return w.Body.String()
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 8}
	_, err := reg.Inventory().Machines.Create(t.Context(), inventory.Machine{
		Hostname: "known", Architecture: "amd64/generic", Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: mac, Kind: ipam.Physical}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var dhcp region.DHCPExplanation
	eventually(t, "served", func() bool {
		get("dhcp?mac="+mac.String()+"&subnet=192.0.2.0/24", &dhcp)
		return len(dhcp.Racks) == 1 && len(dhcp.Racks[0].DHCP) == 1 && dhcp.Racks[0].DHCP[0].Reply == "OFFER"
	})
	told := dhcp.Racks[0].DHCP[0]
	if dhcp.Machine != "known.maas" || told.BootFile != "shimx64.efi" || len(told.Steps) == 0 {
		t.Errorf("%+v", dhcp)
	}
	boots, err := reg.Inventory().Boots.Of(t.Context(), mac)
	if err != nil || len(boots) > 0 {
		t.Errorf("a question was taken for a boot: %v, %v", boots, err)
	}
	// What was told is what is done.
	if report := boot(t, segment, impatient(boottest.UEFIShimGRUB), mac); report.Lease().Addr != told.Addr {
		t.Errorf("told %v, given %v", told.Addr, report.Lease().Addr)
	}
	var b region.BootExplanation
	eventually(t, "profile", func() bool {
		get("boot/known?arch=bios", &b)
		return len(b.Racks) == 1 && b.Racks[0].Boot != nil && b.Racks[0].Boot.Known
	})
	if script := b.Racks[0].Boot.Script; b.Racks[0].Boot.Rule != "the site's default" || !strings.HasPrefix(script, "#!ipxe") || !strings.Contains(script, "vmlinuz") {
		t.Errorf("%s: %s", b.Why, script)
	}
	var ip region.AddressExplanation
	eventually(t, "lease", func() bool {
		get("ip/"+told.Addr.String(), &ip)
		return len(ip.Racks) == 1 && ip.Racks[0].Lease != nil && strings.Contains(get("ip/"+told.Addr.String(), nil), `"kind":"allocation"`)
	})
	if ip.Subnet != "192.0.2.0/24" || ip.Racks[0].Lease.MAC != mac.String() {
		t.Errorf("%+v", ip)
	}
	for path, want := range map[string]string{"dhcp?mac=x": "mac", "dhcp?mac=020000000001&arch=vax": "none of", "ip/x": "not an IP address", "boot/nobody": "nobody", "dhcp?mac=020000000001&vlan=9": "9"} {
		if body := get(path, nil); !strings.Contains(body, want) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

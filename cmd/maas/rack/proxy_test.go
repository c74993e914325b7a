package rack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// proxyRack serves a rack of a region with its proxy at an address of this host, until stop.
func proxyRack(t *testing.T, reg *region.Region, name string, at netip.Addr) (stop func()) {
	t.Helper()
	r, err := rack.New(rack.Config{
		Dir: t.TempDir(), Dial: rpc.Loopback(reg.RPC(), name), Files: files, Loaders: loaders,
		ListenProxy: func(ctx context.Context, port int) ([]net.Listener, error) {
			ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", netip.AddrPortFrom(at, uint16(port)).String())
			return []net.Listener{ln}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, rack.Sockets{}) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// through gets a URL by way of the proxy at an address, on a new connection.
func through(t *testing.T, proxyAt string, target string) (status int, body, cache string) {
	t.Helper()
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxyAt}), DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Get(target)
	if err != nil {
		return 0, err.Error(), ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), ""
	}
	says := resp.Header["Cache-Status"] // each proxy on the way adds its own
	if len(says) == 0 {
		return resp.StatusCode, string(text), ""
	}
	return resp.StatusCode, string(text), says[len(says)-1]
}

// A machine asks its rack, that asks the rack beside the region, and only this one the site's external proxy. The settings
// are followed live, and a rack answers from its cache when the way up is gone.
func TestRacksGoThroughTheirRegion(t *testing.T) {
	var asked atomic.Int64
	external := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "%s %d", r.URL, len(r.Header["Via"]))
	}))
	defer external.Close()
	near, far := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	reg, err := region.Open(t.Context(), region.Config{Dir: t.TempDir(), LocalRack: "near", Kinds: power.NewRegistry(power.Manual())})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	inv, port := reg.Inventory(), freePort(t)
	set := func(name, value string) {
		t.Helper()
		if err := inv.Settings.Set(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: netip.MustParsePrefix("127.0.0.0/8")}); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]netip.Addr{"near": near, "far": far} {
		link := inventory.RackLink{Name: "lo", Addrs: []netip.Prefix{netip.PrefixFrom(at, 8)}}
		if _, err := inv.RegisterRack(t.Context(), inventory.Rack{Name: name, Links: []inventory.RackLink{link}}); err != nil {
			t.Fatal(err)
		}
	}
	set(setting.ProxyPort, strconv.Itoa(port))
	set(setting.HTTPProxy, external.URL)
	set(setting.UsePeerProxy, "true")
	ctx, cancel := context.WithCancel(t.Context())
	regionDone := make(chan error, 1)
	go func() { regionDone <- reg.Serve(ctx, region.Sockets{}) }()
	defer func() {
		cancel()
		if err := <-regionDone; err != nil {
			t.Error(err)
		}
	}()
	stopNear, stopFar := proxyRack(t, reg, "near", near), proxyRack(t, reg, "far", far)
	defer stopFar()

	const target = "http://origin.example/a"
	at := func(host netip.Addr) string { return netip.AddrPortFrom(host, uint16(port)).String() }
	eventually(t, "served through both proxies", func() bool {
		status, body, _ := through(t, at(far), target)
		return status == 200 && body == target+" 2"
	})
	if status, _, _ := through(t, at(far), "http://"+at(near)+"/"); status != http.StatusForbidden {
		t.Errorf("a rack is reached through another one's proxy: %d", status)
	}

	port = freePort(t)
	set(setting.ProxyPort, strconv.Itoa(port))
	eventually(t, "moved to the other port", func() bool {
		status, _, _ := through(t, at(far), target)
		return status == 200
	})

	stopNear()
	before := asked.Load()
	if status, body, cache := through(t, at(far), target); status != 200 || body != target+" 2" || cache != "maas; fwd=stale" {
		t.Errorf("without the way up: %d %s %s", status, body, cache)
	}
	if status, _, _ := through(t, at(far), "http://origin.example/new"); status != http.StatusBadGateway {
		t.Errorf("what is not in the cache: %d", status)
	}
	if asked.Load() != before {
		t.Error("the rack went another way up than through its region")
	}

	set(setting.EnableHTTPProxy, "false")
	eventually(t, "off", func() bool {
		status, _, _ := through(t, at(far), target)
		return status == 0
	})
}

// Machines are told the proxy that they are to use, as the settings say at that moment.
func TestBootProfilesNameTheProxy(t *testing.T) {
	reg := openRegion(t, t.TempDir())
	defer reg.Close()
	profile := &pxe.Profile{Name: "site", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "proxy={http_proxy} maas.done={done}"}
	if err := reg.Inventory().Profiles.SetDefault(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	regionDone := make(chan error, 1)
	go func() { regionDone <- reg.Serve(ctx, region.Sockets{}) }()
	segment, stop := serve(t, t.TempDir(), rpc.Loopback(reg.RPC(), "rack"))
	for _, c := range []struct{ name, value, proxy string }{
		{setting.ProxyPort, "3128", "proxy=http://192.0.2.1:3128/ "},
		{setting.HTTPProxy, "http://proxy.example:8080", "proxy=http://proxy.example:8080 "},
		{setting.EnableHTTPProxy, "false", "proxy= "},
	} {
		if err := reg.Inventory().Settings.Set(t.Context(), c.name, c.value); err != nil {
			t.Fatal(err)
		}
		eventually(t, c.name, func() bool {
			report := boot(t, segment, impatient(boottest.BIOSiPXE), net.HardwareAddr{2, 0, 0, 0, 0, 9})
			return strings.Contains(report.Running.Cmdline+" ", c.proxy)
		})
	}
	stop()
	cancel()
	if err := <-regionDone; err != nil {
		t.Error(err)
	}
}

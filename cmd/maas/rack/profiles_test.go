package rack_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
)

// profiled is a site whose machines are told by the API what to boot.
type profiled struct {
	t       *testing.T
	reg     *region.Region
	segment *boottest.Segment
}

func (s profiled) do(method, path, body string) string {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if strings.HasPrefix(path, "/MAAS/") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	s.reg.Local().ServeHTTP(w, r)
	if w.Code >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

// boots waits until the machine boots with a command line, and sees to it that the region knows why.
func (s profiled) boots(mac net.HardwareAddr, cmdline, rule string) {
	s.t.Helper()
	eventually(s.t, cmdline, func() bool {
		report := boot(s.t, s.segment, impatient(boottest.BIOSiPXE), mac)
		return strings.Contains(report.Running.Cmdline, " "+cmdline+" ")
	})
	var why region.BootExplanation
	if err := json.Unmarshal([]byte(s.do("GET", "/api/v1/explain/boot/"+mac.String(), "")), &why); err != nil {
		s.t.Fatal(err)
	}
	if b := why.Racks[0].Boot; b == nil || b.Rule != rule || !strings.HasPrefix(b.Profile.Cmdline, cmdline+" ") {
		s.t.Errorf("explained by %q: %+v, want %q", why.Why, b, rule)
	}
}

// What the API says of tags and subnets is what machines boot there, and racks are sent no more than that.
func TestProfilesOfTagsAndSubnets(t *testing.T) {
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
	s := profiled{t, reg, segment}
	const api = "/MAAS/api/2.0/"
	profile := func(name string) string {
		return `{"kernel":"vmlinuz","initrd":["initrd"],"cmdline":"` + name + ` maas.done={done}"}`
	}
	known, stranger := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	m, _, err := reg.Inventory().Enlist(t.Context(), inventory.Enlistment{MAC: known, Hostname: "node1"})
	if err != nil {
		t.Fatal(err)
	}
	s.boots(known, "quiet", "the site's default")

	s.do("POST", api+"tags/", "name=lab")
	s.do("PUT", "/api/v1/boot-profile?tag=lab", profile("tagged"))
	s.do("POST", api+"tags/lab/?op=update_nodes", "add="+url.QueryEscape(network.String()))
	s.boots(known, "tagged", "tag lab of subnet 192.0.2.0/24")
	s.boots(stranger, "tagged", "tag lab of subnet 192.0.2.0/24")

	var before rpc.Update
	eventually(t, "the stranger is enlisted", func() bool {
		before, err = reg.RPC().State("rack").Next(t.Context(), pxerpc.Topic, rpc.Position{})
		return err == nil && slices.ContainsFunc(before.Objects, func(o rpc.Object) bool { return o.Key == "mac/02-00-00-00-00-02" })
	})
	s.do("PUT", "/api/v1/boot-profile?subnet=192.0.2.0/24", profile("here"))
	sent, err := reg.RPC().State("rack").Next(t.Context(), pxerpc.Topic, before.Position)
	if err != nil || len(sent.Objects) != 1 || sent.Objects[0].Key != "network/192.0.2.0/24" {
		t.Errorf("sent %+v, %v", sent.Objects, err)
	}
	s.boots(stranger, "here", "subnet 192.0.2.0/24")

	s.do("POST", api+"tags/lab/?op=update_nodes", "add="+m.SystemID)
	s.boots(known, "tagged", "tag lab")
	s.boots(stranger, "here", "subnet 192.0.2.0/24")

	s.do("PUT", "/api/v1/boot-profile?machine="+m.SystemID, profile("own"))
	s.do("PUT", api+"tags/lab/", "kernel_opts=debug")
	s.boots(known, "own", "the machine's own")
	for _, of := range []string{"machine=" + m.SystemID, "tag=lab", "subnet=192.0.2.0/24"} {
		s.do("DELETE", "/api/v1/boot-profile?"+of, "")
	}
	s.boots(known, "quiet", "the site's default")
}

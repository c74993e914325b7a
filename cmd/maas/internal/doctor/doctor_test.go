package doctor

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// healthy is a host with nothing to find.
func healthy() Facts {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return Facts{
		Daemon: true, Rack: true, Searched: true, Data: Dir{Path: "/var/lib/gomaas", Free: 10 << 30},
		Ports:       []Port{{What: "TFTP", Net: "udp", Port: 69, By: []string{"maas"}, Ours: true}},
		Links:       []Link{{Name: "eth0", MTU: 1500, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}},
		Loaders:     []Loader{{Name: "shimx64.efi", Secure: true, Signed: true}},
		Clock:       Clock{Known: true, Ahead: time.Second},
		Region:      Region{Known: true, Tried: []string{"maas.example:5250"}},
		Certificate: Certificate{Known: true, Expires: now.AddDate(0, 2, 0), Now: now},
		VLANs:       []VLAN{{Name: "fabric-1/0", Subnets: []string{"192.0.2.0/24"}, Ranges: true, Racks: []string{"rack"}, Near: true, MTU: 1500}},
		RoundTrips:  []RoundTrip{{What: "DNS", At: "192.0.2.1", Took: time.Millisecond}},
	}
}

func TestNothingToFind(t *testing.T) {
	findings := Check(healthy())
	if len(findings) != 10 || slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity != Fine }) {
		t.Errorf("%d findings: %+v", len(findings), findings)
	}
}

// TestFindings changes one thing each, and wants one finding that names it and a cure.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*Facts)
		severity Severity
		text     string
		cure     string
	}{
		{"no write", func(f *Facts) { f.Data.Err = errors.New("permission denied") }, Bad, "cannot be written", "--data"},
		{"no space", func(f *Facts) { f.Data.Free = 50 << 20 }, Bad, "50 MB left", "make room"},
		{"little space", func(f *Facts) { f.Data.Free = 500 << 20 }, Warning, "500 MB left", "make room"},
		{"capabilities", func(f *Facts) { f.MissingCapabilities = []string{"CAP_NET_RAW"} }, Bad, "CAP_NET_RAW", "AmbientCapabilities=CAP_NET_RAW"},
		{"port taken", func(f *Facts) { f.Ports[0].By, f.Ports[0].Ours = []string{"in.tftpd (process 7)"}, false }, Bad, "TFTP: port 69/udp is taken by in.tftpd", "stop that program"},
		{"stub resolver", func(f *Facts) { f.Ports[0].By, f.Ports[0].Ours = []string{"systemd-resolve (process 7)"}, false }, Bad, "systemd-resolve", "DNSStubListener=no"},
		{"port not served", func(f *Facts) { f.Ports[0].By, f.Ports[0].Ours = nil, false }, Warning, "does not serve there", "log"},
		{"another daemon", func(f *Facts) { f.Daemon = false }, Warning, "another data directory", "--data"},
		{"link down", func(f *Facts) { f.Links = append(f.Links, Link{Name: "eth1", MTU: 1500}) }, Warning, "eth1 is down", "ip link set eth1 up"},
		{"no address", func(f *Facts) { f.Links[0].Addrs = nil }, Bad, "no interface has an address", "ip addr add"},
		{"small MTU", func(f *Facts) { f.Links[0].MTU = 1400; f.VLANs[0].MTU = 1400 }, Warning, "1400 bytes only", "mtu 1500"},
		{"VLAN's MTU", func(f *Facts) { f.VLANs[0].MTU = 9000 }, Warning, "takes 1500", "maas vlan update fabric-1/0 mtu=1500"},
		{"rp_filter", func(f *Facts) {
			f.Links = append(f.Links, Link{Name: "eth1", MTU: 1500, Up: true, RPMode: 1})
		}, Warning, "rp_filter is strict", "net.ipv4.conf.eth1.rp_filter=2"},
		{"other server", func(f *Facts) { f.Servers = []Server{{Link: "eth0", Addr: netip.MustParseAddr("192.0.2.9")}} }, Warning, "192.0.2.9", "dhcp_mode=proxy"},
		{"search fails", func(f *Facts) { f.ServersErr = errors.New("not permitted") }, Warning, "not permitted", "root"},
		{"loader missing", func(f *Facts) { f.Loaders[0].Err = errors.New("shimx64.efi: install shim-signed") }, Warning, "install shim-signed", "--loaders"},
		{"loader damaged", func(f *Facts) { f.Loaders[0].Damage = errors.New("shimx64.efi: truncated") }, Warning, "truncated", "maas loader list"},
		{"one authority", func(f *Facts) { f.Loaders[0].CAs = []string{"microsoft-2011"} }, Warning, "no shim is signed by microsoft-2023", "put a shim"},
		{"the other authority", func(f *Facts) { f.Loaders[0].CAs = []string{"microsoft-2023"} }, Warning, "no shim is signed by microsoft-2011", "put a shim"},
		{"loader not signed", func(f *Facts) { f.Loaders[0].Signed = false }, Warning, "Secure Boot refuse", "shim-signed"},
		{"no region", func(f *Facts) { f.Region.Err = errors.New("connection refused") }, Bad, "maas.example:5250: connection refused", "firewall"},
		{"certificate ended", func(f *Facts) { f.Certificate.Expires = f.Certificate.Now }, Bad, "ended on 2026-03-01", "maas rack run --enrol"},
		{"certificate ends", func(f *Facts) { f.Certificate.Expires = f.Certificate.Now.Add(time.Hour) }, Warning, "ends on 2026-03-01", "renews"},
		{"certificate damaged", func(f *Facts) { f.Certificate.Err = errors.New("no PEM") }, Bad, "no PEM", "token create"},
		{"clock far", func(f *Facts) { f.Clock.Ahead = -time.Hour }, Bad, "1h0m0s behind", "chrony"},
		{"clock off", func(f *Facts) { f.Clock.Ahead = 10 * time.Second }, Warning, "10s ahead of", "chrony"},
		{"a proposal", func(f *Facts) { f.Proposals = []Proposal{{"far", "eth1", "203.0.113.0/24"}} }, Warning, "has 203.0.113.0/24 on eth1", "maas rack accept far 203.0.113.0/24"},
		{"no range", func(f *Facts) { f.VLANs[0].Ranges = false }, Warning, "no dynamic range", "maas iprange create"},
		{"no rack", func(f *Facts) { f.VLANs[0].Racks = nil }, Bad, "no rack serves it", "primary_rack=RACK"},
		{"relay needed", func(f *Facts) { f.VLANs[0].Near = false }, Warning, "relay only", "relay_vlan=VLAN"},
		{"round trip", func(f *Facts) { f.RoundTrips[0].Err = context.DeadlineExceeded }, Bad, "DNS at 192.0.2.1: context deadline", "nft"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.change(&f)
			var found []Finding
			for _, x := range Check(f) {
				if x.Severity != Fine {
					found = append(found, x)
				}
			}
			if len(found) != 1 || found[0].Severity != c.severity || !strings.Contains(found[0].Text, c.text) || !strings.Contains(found[0].Cure, c.cure) {
				t.Errorf("%+v; want one %s with %q and %q", found, c.severity, c.text, c.cure)
			}
		})
	}
}

func TestListeners(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0
   1: 010200C0:0035 0200C000:1000 01 00000000:00000000 00:00000000 00000000     0        0 4712 2 0 0
   2: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4713 1
`
	got := listeners(table, 53)
	if len(got) != 2 || got[0].addr != netip.MustParseAddr("127.0.0.1") || got[0].inode != "4711" || got[1].addr != netip.IPv6Unspecified() {
		t.Errorf("%+v", got)
	}
}

func TestCapabilities(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("Name:\tmaas\nCapEff:\t0000000000000400\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := missingCapabilities(file); len(got) != 1 || got[0] != "CAP_NET_RAW" {
		t.Errorf("%v", got)
	}
}

// TestGather looks at the host that it runs on: it ends whatever that host has, and takes a
// directory without a daemon for one.
func TestGather(t *testing.T) {
	dir := t.TempDir()
	f := Gather(t.Context(), Config{Data: filepath.Join(dir, "none"), Quick: true, Loaders: fstest.MapFS{"shimx64.efi": {Data: []byte("MZ, but no program")}}})
	if f.Daemon || !f.Rack || !f.Data.Absent || f.Data.Free == 0 || f.Certificate.Known || f.Clock.Known || len(f.RoundTrips) > 0 {
		t.Errorf("%+v", f)
	}
	for _, l := range f.Loaders {
		if l.Name == "shimx64.efi" && (l.Err != nil || l.Signed) {
			t.Errorf("%+v", l)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// site answers like the API of a site. An empty body is an error of the server.
func site(t *testing.T, date time.Time, bodies map[string]string) client.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
		body := bodies[r.URL.Path]
		if body == "" {
			http.Error(w, "no such page", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return client.Client{URL: server.URL, Key: "a:b:c"}
}

// subnets reads what the API sends of subnets: for each its CIDR, and more fields of its VLAN and of itself in JSON.
func subnets(t *testing.T, each ...[3]string) (out []maasapi.Subnet) {
	t.Helper()
	for _, e := range each {
		var s maasapi.Subnet
		text := `{"cidr": "` + e[0] + `", "vlan": {"id": 1, "fabric": "fabric-1", "vid": 1, "mtu": 1500, "dhcp_on": true` + e[1] + `}` + e[2] + `}`
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out = append(out, s)
	}
	return out
}

func TestVLANsOfSubnets(t *testing.T) {
	const dynamic, reserved = `, "ip_ranges": [{"type": "dynamic"}]`, `, "ip_ranges": [{"type": "reserved"}]`
	racks := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	for _, c := range []struct {
		name    string
		subnets []maasapi.Subnet
		want    []VLAN
	}{
		{"none", nil, nil},
		{"no VLAN", []maasapi.Subnet{{CIDR: "192.0.2.0/24"}}, nil},
		{"DHCP is off", subnets(t, [3]string{"192.0.2.0/24", `, "dhcp_on": false`}), nil},
		{"no range and no rack", subnets(t, [3]string{"198.51.100.0/24"}),
			[]VLAN{{Name: "fabric-1/1", Subnets: []string{"198.51.100.0/24"}, MTU: 1500}}},
		{"two subnets of one VLAN", subnets(t,
			[3]string{"192.0.2.0/24", `, "primary_rack": "a", "secondary_rack": "b"`}, [3]string{"2001:db8::/64", "", dynamic}),
			[]VLAN{{Name: "fabric-1/1", Subnets: []string{"192.0.2.0/24", "2001:db8::/64"}, Ranges: true, Racks: []string{"a", "b"}, Near: true, MTU: 1500}}},
		{"only reserved ranges", subnets(t, [3]string{"192.0.2.0/24", "", reserved}),
			[]VLAN{{Name: "fabric-1/1", Subnets: []string{"192.0.2.0/24"}, Near: true, MTU: 1500}}},
		{"relayed", subnets(t, [3]string{"203.0.113.0/24", `, "relay_vlan": {"fabric": "fabric-1", "vid": 9}`, dynamic}),
			[]VLAN{{Name: "fabric-1/1", Subnets: []string{"203.0.113.0/24"}, Ranges: true, Relay: "fabric-1/9", MTU: 1500}}},
		{"odd CIDR", subnets(t, [3]string{"not a prefix"}), []VLAN{{Name: "fabric-1/1", Subnets: []string{"not a prefix"}, MTU: 1500}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, vlansOf(c.subnets, racks)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestLookAtSite(t *testing.T) {
	served, err := json.Marshal(subnets(t, [3]string{"192.0.2.0/24"}))
	if err != nil {
		t.Fatal(err)
	}
	racks := `[{"ip_addresses": ["no address", "192.0.2.1"]}]`
	for _, c := range []struct {
		name   string
		ahead  time.Duration // of this host
		bodies map[string]string
		vlans  int
		near   bool
	}{
		{"all is well", 0, map[string]string{client.API + "subnets/": string(served), client.API + "rackcontrollers/": racks, client.API + "version/": "{}"}, 1, true},
		{"the clock is behind", -time.Hour, map[string]string{client.API + "subnets/": string(served), client.API + "rackcontrollers/": "[]", client.API + "version/": "{}"}, 1, false},
		{"racks are unknown", 0, map[string]string{client.API + "subnets/": string(served), client.API + "version/": "{}"}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			vlans, _, clock := lookAtSite(t.Context(), site(t, time.Now().Add(-c.ahead), c.bodies))
			if len(vlans) != c.vlans || len(vlans) > 0 && vlans[0].Near != c.near {
				t.Errorf("VLANs %+v", vlans)
			}
			if off := (clock.Ahead - c.ahead).Abs(); !clock.Known || off > 30*time.Second {
				t.Errorf("the clock is %+v, want %v ahead", clock, c.ahead)
			}
		})
	}
}

// A site that cannot be reached leaves everything unknown, and no check complains of what is unknown.
func TestNoSite(t *testing.T) {
	vlans, _, clock := lookAtSite(t.Context(), client.Client{Socket: filepath.Join(t.TempDir(), "none")})
	if vlans != nil || clock.Known {
		t.Errorf("%+v %+v", vlans, clock)
	}
	f := healthy()
	f.VLANs, f.Clock, f.RoundTrips = vlans, clock, askDHCP(t.Context(), client.Client{Socket: filepath.Join(t.TempDir(), "none")})
	for _, x := range Check(f) {
		if x.Severity != Fine {
			t.Errorf("%+v", x)
		}
	}
}

func TestAskDHCP(t *testing.T) {
	const path = "/api/v1/explain/dhcp"
	for _, c := range []struct {
		name, body string
		want       []string // place, and the error's beginning
	}{
		{"answered", `{"racks": [{"rack": "r", "dhcp": [{"link": "eth0", "reply": "OFFER"}]}]}`, []string{"r eth0"}},
		{"behind a relay", `{"racks": [{"rack": "r", "dhcp": [{"relay": "192.0.2.1", "reply": "OFFER"}]}]}`, []string{"r 192.0.2.1"}},
		{"silent on purpose", `{"racks": [{"rack": "r", "dhcp": [{"link": "eth0", "reason": "listening"}]}]}`, []string{"r eth0"}},
		{"silent", `{"racks": [{"rack": "r", "dhcp": [{"link": "eth0", "reason": "no free address"}]}]}`,
			[]string{"r eth0: a DISCOVER is left unanswered: no free address"}},
		{"no racks", `{"racks": []}`, nil},
		{"refused", ``, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, trip := range askDHCP(t.Context(), site(t, time.Now(), map[string]string{path: c.body})) {
				line := trip.At
				if trip.Err != nil {
					why, _, _ := strings.Cut(trip.Err.Error(), ";")
					line += ": " + why
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReach(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close() // refuses from now on
	if r := reach(t.Context(), nil); r.Known || r.Err != nil {
		t.Errorf("without addresses: %+v", r)
	}
	if r := reach(t.Context(), []string{shut.Addr().String(), open.Addr().String()}); !r.Known || r.Err != nil || len(r.Tried) != 1 || r.Tried[0] != open.Addr().String() {
		t.Errorf("one answers: %+v", r)
	}
	if r := reach(t.Context(), []string{shut.Addr().String()}); !r.Known || r.Err == nil || len(r.Tried) != 1 {
		t.Errorf("none answers: %+v", r)
	}
}

func TestRegionAddresses(t *testing.T) {
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "rack"), 0o700); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		`{"regions": ["192.0.2.1:5250", "[2001:db8::1]:5250"]}`: {"192.0.2.1:5250", "[2001:db8::1]:5250"},
		`{}`:     nil,
		`broken`: nil,
	} {
		if err := os.WriteFile(filepath.Join(data, "rack", "joined.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, regionAddresses(data)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
	if got := regionAddresses(filepath.Join(data, "none")); got != nil {
		t.Errorf("without a file: %v", got)
	}
}

func TestAskHTTP(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.URL.Path != "/shimx64.efi" {
			t.Errorf("asks %s %s", r.Method, r.URL)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	for code, fails := range map[int]bool{http.StatusOK: false, http.StatusNotFound: false, http.StatusServiceUnavailable: true} {
		status = code
		if err := askHTTP(t.Context(), "127.0.0.1", port, "shimx64.efi"); (err != nil) != fails {
			t.Errorf("status %d: %v", code, err)
		}
	}
	server.Close()
	if err := askHTTP(t.Context(), "127.0.0.1", port, "shimx64.efi"); err == nil {
		t.Error("a server that is gone answers")
	}
}

// resolver answers all queries with a response code, or not at all.
func resolver(t *testing.T, rcode int) (addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(q, rcode))
	})}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-done
	})
	return conn.LocalAddr().String()
}

// Whatever a server answers shows that it serves.
func TestAskDNS(t *testing.T) {
	for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeRefused, dns.RcodeServerFailure} {
		if err := askDNS(t.Context(), resolver(t, rcode)); err != nil {
			t.Errorf("%s: %v", dns.RcodeToString[rcode], err)
		}
	}
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if err := askDNS(t.Context(), gone.LocalAddr().String()); err == nil {
		t.Error("a resolver that is gone answers")
	}
}

func TestUpstreams(t *testing.T) {
	for _, c := range []struct {
		name      string
		upstreams []Upstream
		text      string // of the finding; "" = none
		severity  Severity
	}{
		{"none", nil, "", ""},
		{"all answer", []Upstream{{Addr: "192.0.2.53"}, {Addr: "192.0.2.54"}}, "192.0.2.53, 192.0.2.54 answers", Fine},
		{"one is dead", []Upstream{{Addr: "192.0.2.99", Err: context.DeadlineExceeded}}, "192.0.2.99 does not answer", Warning},
	} {
		f := healthy()
		f.Upstreams = c.upstreams
		var found []Finding
		for _, x := range Check(f) {
			if x.Check == "upstream dns" {
				found = append(found, x)
			}
		}
		if c.text == "" && len(found) > 0 || c.text != "" && (len(found) != 1 || found[0].Severity != c.severity || !strings.Contains(found[0].Text, c.text)) {
			t.Errorf("%s: %+v", c.name, found)
		}
	}
	if got := askUpstreams(t.Context(), site(t, time.Now(), map[string]string{client.API + "maas/": `{"upstream_dns": "not-an-address"}`})); got != nil {
		t.Errorf("%+v", got)
	}
}

// Only addresses with a listening socket are served.
func TestServedAt(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	port := conn.LocalAddr().(*net.UDPAddr).Port
	if !servedAt("udp", port, netip.MustParseAddr("127.0.0.1")) || servedAt("udp", port, netip.MustParseAddr("127.0.0.2")) {
		t.Errorf("port %d: wrong addresses", port)
	}
}

// A question ends when its time is over, whatever it waits for.
func TestAQuestionEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	trip := ask(ctx, "TFTP", "192.0.2.1", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if trip.What != "TFTP" || trip.At != "192.0.2.1" || !errors.Is(trip.Err, context.Canceled) {
		t.Errorf("%+v", trip)
	}
}

func TestLookAtData(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path        string
		absent, bad bool
	}{
		{dir, false, false},
		{filepath.Join(dir, "a", "b"), true, false},
		{file, false, true},
		{filepath.Join(file, "below"), true, true},
	} {
		d := lookAtData(c.path)
		if d.Path != c.path || d.Absent != c.absent || (d.Err != nil) != c.bad || !c.bad && d.Free == 0 {
			t.Errorf("%s: %+v", c.path, d)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// Only programs of UEFI have signatures; what is none is not taken for one that is signed.
func TestLookAtLoaders(t *testing.T) {
	found := lookAtLoaders(fstest.MapFS{"undionly.kpxe": {Data: []byte("code")}, "shimx64.efi": {Data: []byte("MZ")}})
	by := map[string]Loader{}
	for _, l := range found {
		by[l.Name] = l
		if strings.HasSuffix(l.Name, ".c32") {
			t.Errorf("%s is a part of another loader", l.Name)
		}
	}
	if l := by["undionly.kpxe"]; l.Err != nil || l.Secure {
		t.Errorf("%+v", l)
	}
	if l := by["shimx64.efi"]; l.Err != nil || l.Damage == nil || !l.Secure || l.Signed {
		t.Errorf("%+v", l)
	}
	if l := by["grubx64.efi"]; !errors.Is(l.Err, fs.ErrNotExist) {
		t.Errorf("%+v", l)
	}
}

func TestEvict(t *testing.T) {
	for by, cure := range map[string]string{
		"systemd-resolve (process 1)": "DNSStubListener=no",
		"dnsmasq (process 1)":         "systemctl disable --now dnsmasq",
		"named (process 1)":           "--dns-port",
		"unbound (process 1)":         "--dns-port",
		"dhcpd (process 1)":           "--no-dhcp",
		"kea-dhcp4 (process 1)":       "--no-dhcp",
		"another program":             "another port",
	} {
		if got := evict(Port{By: []string{by}}); !strings.Contains(got, cure) {
			t.Errorf("%s: %q has no %q", by, got, cure)
		}
	}
}

func TestKernelAddr(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F":                         "127.0.0.1",
		"00000000":                         "0.0.0.0",
		"B80D0120000000000000000001000000": "2001:db8::1",
		"":                                 "",
		"01":                               "",
		"no hex!!":                         "",
	} {
		got, ok := kernelAddr(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v %t", text, got, ok)
		}
	}
}

// The owner of a socket is found through the links of its process, and its name is the kernel's.
func TestSocketOwners(t *testing.T) {
	proc := t.TempDir()
	for dir, name := range map[string]string{"7": "dnsmasq", "8": ""} {
		fd := filepath.Join(proc, dir, "fd")
		if err := os.MkdirAll(fd, 0o700); err != nil {
			t.Fatal(err)
		}
		for n, to := range map[string]string{"3": "socket:[1" + dir + "]", "4": "/dev/null"} {
			if err := os.Symlink(to, filepath.Join(fd, n)); err != nil {
				t.Fatal(err)
			}
		}
		if name == "" {
			continue // the process has ended meanwhile
		}
		if err := os.WriteFile(filepath.Join(proc, dir, "comm"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]string{"17": "dnsmasq (process 7)"}, socketOwners(proc)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

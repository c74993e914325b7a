package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/metadata"
)

// site is a Source in memory.
type site map[string]metadata.Instance

var errBroken = errors.New("the disk is gone, it had /secret/path")

func (s site) ByMAC(_ context.Context, mac net.HardwareAddr) (metadata.Instance, error) {
	if mac.String() == broken.String() {
		return metadata.Instance{}, errBroken
	}
	in, ok := s[mac.String()]
	if !ok {
		return in, fmt.Errorf("no machine %s: %w", mac, fs.ErrNotExist)
	}
	return in, nil
}

func (s site) ByAddr(_ context.Context, addr netip.Addr) (metadata.Instance, error) {
	for _, in := range s {
		for _, a := range in.Addrs {
			if a == addr {
				return in, nil
			}
		}
	}
	return metadata.Instance{}, fs.ErrNotExist
}

var (
	mac1   = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	mac2   = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	broken = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	key    = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1 ada"
)

func newSite() site {
	return site{
		mac1.String(): {
			ID: "abc123", MAC: mac1, Hostname: "node1", FQDN: "node1.lab.example", Zone: "north", Keys: []string{key},
			Addrs:         []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::11")},
			NetworkConfig: []byte("version: 2\n"), NetworkData: []byte(`{"links":[]}`), UserData: []byte("#cloud-config\nruncmd: [date]\n"),
		},
		mac2.String(): {ID: "xyz789", MAC: mac2, Hostname: "node2", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.12")}},
	}
}

// handler vouches for 192.0.2.77 and the nonce "right" as the first machine.
func handler(t *testing.T, events func(pxe.Event)) *metadata.Handler {
	t.Helper()
	h, err := metadata.New(metadata.Config{Source: newSite(), Events: events, Vouch: func(client netip.Addr, mac net.HardwareAddr, nonce string) bool {
		return mac.String() == mac1.String() && (client == netip.MustParseAddr("192.0.2.77") || nonce == "right")
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func send(h http.Handler, from, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://192.0.2.1:5248"+path, strings.NewReader(body))
	r.RemoteAddr = net.JoinHostPort(from, "4000")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// A machine is told its own data, whether its address or the nonce of its script speaks for it, and no other machine's.
func TestAccess(t *testing.T) {
	h := handler(t, nil)
	const own, other, dhcp, stranger = "192.0.2.11", "192.0.2.12", "192.0.2.77", "192.0.2.99"
	for _, c := range []struct {
		from, path string
		want       int
		has        string
	}{
		{own, "/metadata/02-00-00-00-00-01/user-data", 200, "runcmd"},
		{own, "/metadata/02:00:00:00:00:01/user-data", 200, "runcmd"},
		{"2001:db8::11", "/metadata/02-00-00-00-00-01/user-data", 200, "runcmd"},
		{own, "/metadata/user-data", 200, "runcmd"},
		{own, "/latest/user-data", 200, "runcmd"},
		{own, "/openstack/latest/user_data", 200, "runcmd"},
		{dhcp, "/metadata/02-00-00-00-00-01/user-data", 200, "runcmd"},
		{stranger, "/metadata/02-00-00-00-00-01/right/user-data", 200, "runcmd"},
		{stranger, "/metadata/02-00-00-00-00-01/wrong/user-data", 404, "no machine is known"},
		{stranger, "/metadata/02-00-00-00-00-01/user-data", 404, "no machine is known"},
		{other, "/metadata/02-00-00-00-00-01/user-data", 404, "no machine is known"},
		{other, "/metadata/02-00-00-00-00-01/meta-data", 404, "no machine is known"},
		{other, "/metadata/02-00-00-00-00-02/right/user-data", 200, ""}, // its own address, the nonce does not matter
		{own, "/metadata/02-00-00-00-00-02/right/user-data", 404, "no machine is known"},
		{stranger, "/metadata/user-data", 404, "no machine is known"},
		{stranger, "/latest/user-data", 404, "no machine is known"},
		{stranger, "/latest/meta-data/", 404, "no machine is known"},
		{stranger, "/openstack", 404, "no machine is known"},
		{stranger, "/metadata/02-00-00-00-00-07/user-data", 404, "no machine is known"},
		{stranger, "/metadata/02-00-00-00-00-09/user-data", 500, "see its log"},
		{own, "/metadata/nonsense/user-data", 404, "not found"},
		{own, "/metadata/02-00-00-00-00-01/right/x/user-data", 404, "not found"},
		{own, "/metadata/", 404, "not found"},
		{own, "/openstack/2099-01-01/meta_data.json", 404, "not found"},
		{own, "/latest/dynamic/", 404, "not found"},
		{own, "/latest/meta-data/none", 404, "not found"},
		{"x", "/latest/meta-data/", 404, "no machine is known"},
	} {
		w := send(h, c.from, "GET", c.path, "")
		if w.Code != c.want || !strings.Contains(w.Body.String(), c.has) || strings.Contains(w.Body.String(), "/secret") {
			t.Errorf("%s %s: %d %q, want %d %q", c.from, c.path, w.Code, w.Body, c.want, c.has)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", c.path)
		}
	}
}

// The answers of the three families.
func TestAnswers(t *testing.T) {
	h := handler(t, nil)
	for _, c := range []struct{ path, want string }{
		{"/metadata/meta-data", `{"availability-zone":"north","instance-id":"abc123","local-hostname":"node1.lab.example","public-keys":["` + key + `"]}`},
		{"/metadata/network-config", "version: 2\n"},
		{"/metadata/vendor-data", ""},
		{"/latest/", "meta-data/\nuser-data\n"},
		{"/latest/meta-data/", "hostname\ninstance-id\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\npublic-keys/"},
		{"/2009-04-04/meta-data/public-keys/", "0=key-0"},
		{"/2009-04-04/meta-data/public-keys/0/openssh-key", key},
		{"/2009-04-04/meta-data/local-ipv4", "192.0.2.11"},
		{"/2009-04-04/meta-data/placement/availability-zone", "north"},
		{"/latest/meta-data/network/interfaces/macs/", "02:00:00:00:00:01/"},
		{"/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/ipv6s", "2001:db8::11"},
		{"/openstack/latest/network_data.json", `{"links":[]}`},
		{"/openstack/latest/vendor_data.json", "{}"},
		{"/openstack/2018-08-27/meta_data.json", `{"uuid":"abc123","name":"node1","hostname":"node1.lab.example","availability_zone":"north","launch_index":0,` +
			`"public_keys":{"key-0":"` + key + `"},"keys":[{"name":"key-0","type":"ssh","data":"` + key + `"}]}`},
	} {
		if w := send(h, "192.0.2.11", "GET", c.path, ""); w.Code != 200 || w.Body.String() != c.want {
			t.Errorf("%s: %d %q, want %q", c.path, w.Code, w.Body, c.want)
		}
	}
	// What an instance has not is absent, apart from user-data, without which cloud-init takes the seed for broken.
	for path, want := range map[string]int{
		"/metadata/user-data": 200, "/metadata/vendor-data": 200, "/metadata/network-config": 404, "/latest/user-data": 404,
		"/openstack/latest/user_data": 404, "/openstack/latest/network_data.json": 404, "/latest/meta-data/public-keys/": 404,
	} {
		if w := send(h, "192.0.2.12", "GET", path, ""); w.Code != want {
			t.Errorf("%s of a bare instance: %d, want %d", path, w.Code, want)
		}
	}
}

// A report of the machine ends its timeline; one of a stranger, or one that is too long, does not.
func TestPhoneHome(t *testing.T) {
	var got []pxe.Event
	h := handler(t, func(e pxe.Event) { got = append(got, e) })
	w := send(h, "192.0.2.99", "GET", "/metadata/02-00-00-00-00-01/right/vendor-data", "")
	const url = "http://192.0.2.1:5248/metadata/02-00-00-00-00-01/right/phone-home"
	if !strings.HasPrefix(w.Body.String(), "#cloud-config-archive\n") || !strings.Contains(w.Body.String(), url) {
		t.Errorf("vendor data %s", w.Body)
	}
	for _, c := range []struct {
		from, path, body string
		want             int
	}{
		{"192.0.2.99", "/metadata/02-00-00-00-00-01/right/phone-home", "instance_id=abc123", 204},
		{"192.0.2.11", "/metadata/phone-home", "", 204},
		{"192.0.2.99", "/metadata/02-00-00-00-00-01/wrong/phone-home", "", 404},
		{"192.0.2.99", "/metadata/phone-home", "", 404},
		{"192.0.2.11", "/metadata/phone-home", strings.Repeat("x", 65<<10), 413},
		{"192.0.2.11", "/metadata/user-data", "", 405},
		{"192.0.2.11", "/latest/phone-home/x", "", 405},
	} {
		if w := send(h, c.from, "POST", c.path, c.body); w.Code != c.want {
			t.Errorf("POST %s from %s: %d, want %d", c.path, c.from, w.Code, c.want)
		}
	}
	var stages []string
	attempt := pxe.Attempt{}
	for _, e := range got {
		stages = append(stages, fmt.Sprint(e.Stage, " ", e.Path, " ", e.MAC))
		if strings.Contains(e.Path, "right") {
			t.Errorf("an event shows the nonce: %s", e.Path)
		}
		attempt = attempt.Next(e)
	}
	const want = "metadata metadata/vendor-data 02:00:00:00:00:01, configured metadata/phone-home 02:00:00:00:00:01, configured metadata/phone-home 02:00:00:00:00:01"
	if strings.Join(stages, ", ") != want {
		t.Errorf("events %q", stages)
	}
	if !attempt.Configured || !strings.HasPrefix(attempt.Diagnosis(time.Now()), "configured, ") {
		t.Errorf("the attempt is %q", attempt.Diagnosis(time.Now()))
	}
}

// A token of EC2's second version counts for its client and its time.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, nil)
		const life, header = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
		for _, bad := range []string{"", "0", "-1", "21601", "x"} {
			if w := send(h, "192.0.2.11", "PUT", "/latest/api/token", "", life, bad); w.Code != 400 {
				t.Errorf("a token for %q seconds: %d", bad, w.Code)
			}
		}
		if w := send(h, "192.0.2.11", "GET", "/latest/api/token", ""); w.Code != 405 {
			t.Errorf("GET: %d", w.Code)
		}
		token := send(h, "192.0.2.11", "PUT", "/latest/api/token", "", life, "60").Body.String()
		check := func(when, from, token string, want int) {
			t.Helper()
			if w := send(h, from, "GET", "/latest/meta-data/instance-id", "", header, token); w.Code != want {
				t.Errorf("%s: %d, want %d", when, w.Code, want)
			}
		}
		check("at once", "192.0.2.11", token, 200)
		check("of another", "192.0.2.12", token, 401)
		check("made up", "192.0.2.11", "x", 401)
		check("changed", "192.0.2.11", "B"+token[1:], 401)
		time.Sleep(61 * time.Second)
		check("later", "192.0.2.11", token, 401)
	})
}

func TestConfig(t *testing.T) {
	if _, err := metadata.New(metadata.Config{}); err == nil || !strings.Contains(err.Error(), "Config.Source") {
		t.Error(err)
	}
	h := handler(t, nil)
	mux := http.NewServeMux()
	for pattern, handler := range h.Patterns() {
		mux.Handle(pattern, handler)
	}
	for _, path := range []string{"/metadata/meta-data", "/openstack", "/openstack/latest/meta_data.json", "/latest/meta-data/mac", "/2009-04-04/user-data"} {
		if w := send(mux, "192.0.2.11", "GET", path, ""); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("GET", "/metadata/02-00-00-00-00-01/right/user-data", "192.0.2.11:1", "")
	f.Add("POST", "/metadata/phone-home", "[2001:db8::11]:1", "")
	f.Add("PUT", "/latest/api/token", "x", "60")
	f.Fuzz(func(t *testing.T, method, path, from, token string) {
		h, err := metadata.New(metadata.Config{Source: newSite(), Events: func(pxe.Event) {}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(method, "http://192.0.2.1/", strings.NewReader(token))
		if err != nil {
			return
		}
		r.URL.Path, r.RemoteAddr = path, from
		r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if body, _ := io.ReadAll(w.Result().Body); w.Code == 200 && strings.Contains(string(body), "runcmd") && !strings.Contains(from, "192.0.2.11") && !strings.Contains(from, "2001:db8") {
			t.Errorf("%s %s of %s was answered", method, path, from)
		}
	})
}

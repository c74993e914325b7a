package maasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

func seen(ip, mac string) inventory.Discovery {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		panic(err)
	}
	return inventory.Discovery{Observation: inventory.Observation{Addr: netip.MustParseAddr(ip), MAC: hw, Rack: "rack1", Link: "eth0", VID: 5}}
}

func TestDiscoveryHandlers(t *testing.T) {
	m := &memDiscoveries{all: []inventory.Discovery{seen("192.0.2.9", "02:00:00:00:00:09")}}
	a := faked(t, stores{discoveries: m})
	pair := url.Values{"ip": {"192.0.2.9"}, "mac": {"02:00:00:00:00:09"}}
	with := func(kv ...string) url.Values {
		form := url.Values{"ip": pair["ip"], "mac": pair["mac"]}
		for i := 0; i < len(kv); i += 2 {
			form.Set(kv[i], kv[i+1])
		}
		return form
	}
	for _, e := range []expect{
		{"GET discovery/", nil, 200, `"ip":"192.0.2.9","mac_address":"02:00:00:00:00:09","mac_organization":"Acme"`},
		{"GET discovery/?op=by_unknown_mac", nil, 200, `"vid":5`},
		{"GET discovery/?op=dance", nil, 501, "discovery op=dance is not supported"},
		{"GET discovery/" + url.PathEscape(m.all[0].Key()) + "/", nil, 200, `"observer":{"system_id":"rack1"`},
		{"GET discovery/unknown/", nil, 404, ""},
		{"POST discovery/?op=clear", url.Values{}, 400, "say what to clear"},
		{"POST discovery/?op=clear", url.Values{"mdns": {"maybe"}}, 400, `"mdns"`},
		{"POST discovery/?op=clear", url.Values{"mdns": {"yes"}, "neighbours": {"1"}}, 204, ""},
		{"POST discovery/?op=clear", url.Values{"all": {"true"}, "mdns": {"true"}}, 204, ""},
		{"POST discovery/?op=clear_by_mac_and_ip", pair, 204, ""},
		{"POST discovery/?op=clear_by_mac_and_ip", with("ip", "192.0.2.10"), 404, ""},
		{"POST discovery/?op=clear_by_mac_and_ip", with("ip", "x"), 400, `"ip"`},
		{"POST discovery/?op=clear_by_mac_and_ip", with("mac", "x"), 400, `"mac"`},
		{"POST discovery/?op=ignore", with("reason", "a camera"), 200, `"rule":"02:00:00:00:00:09","ip":"192.0.2.9","reason":"a camera"`},
		{"POST discovery/?op=ignore", with("ip", "192.0.2.10"), 404, ""},
		{"POST discovery/?op=ignore", with("mac", "x"), 400, `"mac"`},
		{"POST discovery/?op=ignore", with("why", "x"), 400, `"why"`},
		{"GET /api/v1/discovery/ignored", nil, 200, `"rule":"02:00:00:00:00:09"`},
		{"POST discovery/?op=unignore", url.Values{}, 400, `"rule"`},
		{"POST discovery/?op=unignore", url.Values{"rule": {"02:00:00:00:00:10"}}, 404, ""},
		{"POST discovery/?op=unignore", url.Values{"rule": {"02:00:00:00:00:09"}}, 204, ""},
		{"GET /api/v1/discovery/ignored", nil, 200, `[]`},
		{"POST discovery/?op=scan", url.Values{}, 501, "scan is not supported"},
		{"GET /api/v1/discovery/dhcp-servers", nil, 200, `"ip":"192.0.2.66"`},
		{"POST /api/v1/discovery/promote", with("hostname", "printer"), 200, `"kind":"device","system_id":"d1","fqdn":"printer.maas","mac_address":"02:00:00:00:00:09","ip":"192.0.2.9"`},
		{"POST /api/v1/discovery/promote", with("kind", "toaster"), 400, `"kind"`},
		{"POST /api/v1/discovery/promote", with("kind", "machine", "hostname", "m", "no_address", "yes"), 200, `"kind":"machine","system_id":"m1"`},
	} {
		e.check(t, a)
	}
	if want := []inventory.ClearWhat{inventory.ClearMDNS, inventory.ClearNeighbours, inventory.ClearAll}; !cmp.Equal(m.cleared, want) {
		t.Errorf("cleared %v, want %v", m.cleared, want)
	}
	if p := m.promoted; p.Device || !p.NoAddress || p.Hostname != "m" {
		t.Errorf("promoted %+v", p)
	}
}

// memRacks are racks, their health and certificates.
type memRacks struct {
	collection[inventory.Rack] // nil: nothing is written
	racks                      []inventory.Rack
	health                     map[string]inventory.RackHealth
	err                        error
}

func (m *memRacks) List(context.Context) ([]inventory.Rack, error) { return m.racks, m.err }

func (m *memRacks) Racks(context.Context) (map[string]inventory.RackHealth, error) {
	return m.health, nil
}

func (m *memRacks) Find(_ context.Context, name string) (inventory.Rack, error) {
	for _, k := range m.racks {
		if k.Name == name {
			return k, nil
		}
	}
	return inventory.Rack{}, fs.ErrNotExist
}

func TestRackHandlers(t *testing.T) {
	m := &memRacks{racks: []inventory.Rack{{Name: "rack1", Links: []inventory.RackLink{{Name: "eth0", MAC: "02:00:00:00:00:aa"}}}}}
	a := faked(t, stores{racks: m, health: m})
	for _, e := range []expect{
		{"GET rackcontrollers/?op=is_registered&mac_address=02:00:00:00:00:AA", nil, 200, "true"},
		{"GET rackcontrollers/?op=is_registered&mac_address=02:00:00:00:00:ab", nil, 200, "false"},
		{"GET rackcontrollers/?op=is_registered", nil, 400, "mac_address"},
		{"GET rackcontrollers/?op=describe_power_types", nil, 200, `"name":"manual"`},
		{"GET rackcontrollers/?op=list_boot_images", nil, 501, "is not supported"},
		{"GET rackcontrollers/rack1/?op=query_power_state", nil, 501, ""},
		{"GET rackcontrollers/rack2/", nil, 404, ""},
	} {
		e.check(t, a)
	}
	m.err = errors.New("disk full")
	w := send(a, "GET", a.base+"rackcontrollers/", nil)
	if w.Code != 500 || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("a failure of the region: %d %s", w.Code, w.Body)
	}
}

type memRegions []inventory.Region

func (m memRegions) List(context.Context) ([]inventory.Region, error) { return m, nil }

func TestRegionHandlers(t *testing.T) {
	a := faked(t, stores{regions: memRegions{{Name: "region1", Addresses: []string{"192.0.2.1:5242", "region.example:5242"}}}})
	for _, e := range []expect{
		{"GET regioncontrollers/", nil, 200, `"ip_addresses":["192.0.2.1"]`},
		{"GET regioncontrollers/?op=x", nil, 501, ""},
		{"GET regioncontrollers/region1/", nil, 200, `"resource_uri":"/MAAS/api/2.0/regioncontrollers/region1/"`},
		{"GET regioncontrollers/region2/", nil, 404, ""},
		{"GET regioncontrollers/region1/?op=x", nil, 501, ""},
	} {
		e.check(t, a)
	}
}

type memTopology struct{ applied bool }

func (*memTopology) Peers(context.Context) ([]inventory.LinkPeer, error) {
	return []inventory.LinkPeer{{Rack: "rack1", Link: "eth0", Kind: "rack", Peer: "rack2", PeerLink: "eth1"}}, nil
}

func (*memTopology) Proposals(context.Context) ([]inventory.FabricProposal, error) {
	return []inventory.FabricProposal{{
		Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("192.0.2.0/24")}, From: ipam.VLAN{ID: 2, FabricID: 2}, To: ipam.VLAN{ID: 1, FabricID: 1}, Why: "rack1 hears rack2",
	}}, nil
}

func (m *memTopology) Apply(ctx context.Context) ([]inventory.FabricProposal, error) {
	m.applied = true
	return m.Proposals(ctx)
}

func TestTopologyHandlers(t *testing.T) {
	m := &memTopology{}
	a := faked(t, stores{topology: m})
	const proposal = `{"subnet":"192.0.2.0/24","from_vlan":2,"from_fabric":2,"to_vlan":1,"to_fabric":1,"why":"rack1 hears rack2"}`
	expect{"GET /api/v1/discovery/topology", nil, 200, `"peer":"rack2","peer_link":"eth1"`}.check(t, a)
	expect{"GET /api/v1/discovery/topology", nil, 200, `"proposals":[` + proposal + `]`}.check(t, a)
	if m.applied {
		t.Error("reading applies the proposals")
	}
	if expect := (expect{"POST /api/v1/discovery/topology", url.Values{}, 200, proposal}); true {
		expect.check(t, a)
	}
	if !m.applied {
		t.Error("nothing was applied")
	}
}

func TestEventHandler(t *testing.T) {
	log := &memFeed{events: []inventory.Event{{ID: 4, Kind: "boot", Level: "info", Description: "it boots"}, {ID: 9, Kind: "power", Level: "info"}}}
	audit := &memFeed{events: []inventory.Event{{ID: 2, Kind: "change", Level: "audit", User: "anna", Description: "POST subnets/"}}}
	a := faked(t, stores{events: log, audit: audit})
	for _, e := range []expect{
		{"GET events/?op=query", nil, 200, `"next_uri":"/MAAS/api/2.0/events/?before=4\u0026op=query","prev_uri":"/MAAS/api/2.0/events/?after=9\u0026op=query"`},
		{"GET events/?op=query&level=audit", nil, 200, `"count":1,"events":[{"id":2,"type":"change","level":"AUDIT"`},
		{"GET events/?op=query&kind=boot", nil, 200, `"count":1,"events":[{"id":4`},
		{"GET events/?op=query&level=audit&kind=change", nil, 200, `"count":1,"events":[{"id":2`},
		{"GET events/?op=query&owner=olga", nil, 200, `"count":0,"events":[]`},
		{"GET events/?op=query&zone=east", nil, 501, "events by zone"},
		{"GET events/?op=query&level=loud", nil, 400, `"level"`},
		{"GET events/?op=query&limit=1001", nil, 400, `"limit"`},
		{"GET events/", nil, 501, ""},
	} {
		e.check(t, a)
	}
}

func TestIdempotency(t *testing.T) {
	answers := &memAnswers{}
	a := faked(t, stores{answers: answers})
	calls := 0
	status := http.StatusOK
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		fmt.Fprint(w, "answer ", calls)
	})
	post := func(method, path, key, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set(keyHeader, key)
		w := httptest.NewRecorder()
		for _, x := range a.table {
			if x.method == method && a.at(x.path) == path {
				a.once(x, answer).ServeHTTP(w, r)
				return w
			}
		}
		t.Fatalf("no route %s %s", method, path)
		return nil
	}
	const path = "/MAAS/api/2.0/subnets/"
	for _, c := range []struct {
		name, method, path, key, body string
		code                          int
		want                          string
	}{
		{"first", "POST", path, "k1", "a", 200, "answer 1"},
		{"again", "POST", path, "k1", "a", 200, "answer 1"},
		{"another body", "POST", path, "k1", "b", 422, "another request"},
		{"another key", "POST", path, "k2", "a", 200, "answer 2"},
		{"no key", "POST", path, "", "a", 200, "answer 3"},
		{"a read", "GET", path, "k1", "", 200, "answer 4"},
		{"a secret", "POST", "/api/v1/keys", "k3", "a", 400, "not for requests that are answered with keys"},
		{"a secret", "POST", "/MAAS/accounts/authenticate/", "k3", "a", 400, "not for requests that are answered with keys"},
		{"a long key", "POST", path, strings.Repeat("k", 256), "a", 400, "1 to 255 bytes"},
	} {
		w := post(c.method, c.path, c.key, c.body)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.code, c.want)
		}
		if replayed := w.Header().Get("Idempotent-Replayed") != ""; replayed != (c.name == "again") {
			t.Errorf("%s: replayed is %v", c.name, replayed)
		}
	}
	status = http.StatusServiceUnavailable
	post("POST", path, "k4", "a")
	status = http.StatusOK
	if w := post("POST", path, "k4", "a"); w.Code != 200 {
		t.Errorf("after a failure: %d %s", w.Code, w.Body)
	}
	answers.kept["k5"] = inventory.Answer{Key: "k5", Request: path + "\n\na"}
	if w := post("POST", path, "k5", "a"); w.Code != 409 || w.Header().Get("Retry-After") == "" {
		t.Errorf("while the first is served: %d %s", w.Code, w.Body)
	}
}

// thing is an object of a resource in memory.
type thing struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Version int64  `json:"-"`
}

func things() (crud[thing], map[int64]thing) {
	all := map[int64]thing{1: {1, "one", 3}}
	return crud[thing]{
		tx: direct{}, shown: thing{},
		all: func(*http.Request) (out []thing, err error) {
			for id := int64(1); id <= 9; id++ {
				if x, ok := all[id]; ok {
					out = append(out, x)
				}
			}
			return out, nil
		},
		find: numbered(func(_ context.Context, id int64) (thing, error) {
			if x, ok := all[id]; ok {
				return x, nil
			}
			return thing{}, notFound("thing", fmt.Sprint(id))
		}),
		show: each(func(x thing) any { return x }),
		read: func(_ *http.Request, f *form.Form, to *thing) { f.Text("name", &to.Name) },
		create: func(_ context.Context, x thing) (thing, error) {
			x.ID, x.Version = int64(len(all)+1), 1
			all[x.ID] = x
			return x, nil
		},
		update: func(_ context.Context, x thing) (thing, error) {
			x.Version++
			all[x.ID] = x
			return x, nil
		},
		remove: removing(func(_ context.Context, id int64) error { delete(all, id); return nil }, func(x thing) int64 { return x.ID }),
	}, all
}

func TestCRUD(t *testing.T) {
	resource, all := things()
	a := faked(t, stores{})
	a.table = resource.routes("things/", "things/{id}/")
	for _, c := range []struct {
		do, header string
		form       url.Values
		code       int
		want       string
	}{
		{"GET things/", "", nil, 200, `[{"id":1,"name":"one"}]`},
		{"GET things/?op=x", "", nil, 501, "op=x is not supported"},
		{"GET things/1/", "", nil, 200, `{"id":1,"name":"one"}`},
		{"GET things/1/", `If-None-Match "3"`, nil, 304, ""},
		{"GET things/2/", "", nil, 404, "thing 2"},
		{"GET things/x/", "", nil, 400, `"id"`},
		{"POST things/", "", url.Values{"name": {"two"}}, 200, `{"id":2,"name":"two"}`},
		{"GET things/?limit=1&offset=1", "", nil, 200, `[{"id":2,"name":"two"}]`},
		{"GET things/?limit=0", "", nil, 400, `"limit"`},
		{"PUT things/1/", `If-Match "2"`, url.Values{"name": {"uno"}}, 412, "is at version"},
		{"PUT things/1/", `If-Match "2", "3"`, url.Values{"name": {"uno"}}, 200, `{"id":1,"name":"uno"}`},
		{"PUT things/1/", "", url.Values{}, 200, `{"id":1,"name":"uno"}`},
		{"PUT things/7/", "", url.Values{}, 404, ""},
		{"DELETE things/2/", `If-Match "9"`, nil, 412, ""},
		{"DELETE things/2/", "If-Match *", nil, 204, ""},
		{"DELETE things/2/", "", nil, 404, ""},
	} {
		method, path, _ := strings.Cut(c.do, " ")
		var header []string
		if name, value, ok := strings.Cut(c.header, " "); ok {
			header = []string{name, value}
		}
		if w := send(a, method, a.base+path, c.form, header...); w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.do, w.Code, w.Body, c.code, c.want)
		}
	}
	if len(all) != 1 || all[1].Name != "uno" || all[1].Version != 5 {
		t.Errorf("stored %v", all)
	}
}

func TestErrorsHaveTheirStatus(t *testing.T) {
	a := faked(t, stores{})
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{form.Invalid("cidr", "is wrong"), 400, `{"cidr":["is wrong"]}`},
		{form.Invalid("", "is wrong"), 400, `{"__all__":["is wrong"]}`},
		{&ipam.InvalidError{Field: "mtu", Why: "is small"}, 400, `{"mtu":["is small"]}`},
		{fmt.Errorf("x: %w", fs.ErrExist), 400, "__all__"},
		{fmt.Errorf("x: %w", fs.ErrNotExist), 404, "x: "},
		{&unsupported{"dancing"}, 501, "dancing is not supported"},
		{&forbidden{"no"}, 403, "no"},
		{&unauthorized{"no"}, 401, "no"},
		{&tooMany{6_000_000_000}, 429, "try again in 6s"},
		{&changedSince{"1", "2"}, 412, "version 1"},
		{&noMachine{}, 409, "no machine"},
		{&locked{"m1"}, 409, "m1 is locked"},
		{&connected{"rack1"}, 409, "rack1 is connected"},
		{&form.MediaTypeError{Type: "x/y"}, 415, "x/y"},
		{&http.MaxBytesError{Limit: 1}, 413, ""},
		{power.Errorf(power.Settings, "x", "y"), 400, ""},
		{power.Errorf(power.Auth, "x", "y"), 503, ""},
		{errors.New("inventory: secret"), 500, "its log has the reason"},
	} {
		w := httptest.NewRecorder()
		a.fail(w, httptest.NewRequest("GET", "/", nil), c.err)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%v: %d %s, want %d %s", c.err, w.Code, w.Body, c.code, c.want)
		}
		if c.code == 429 && w.Header().Get("Retry-After") != "7" {
			t.Errorf("retry after %q", w.Header().Get("Retry-After"))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	if a.fail(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx), ctx.Err()); w.Code != 503 {
		t.Errorf("of a client that has gone: %d", w.Code)
	}
}

// getFunc makes a function a getter.
type getFunc[T any] func(ctx context.Context, id int64) (T, error)

func (f getFunc[T]) Get(ctx context.Context, id int64) (T, error) { return f(ctx, id) }

// memParts are the parts of a subnet. It counts what is read.
type memParts struct{ reads int }

func (m *memParts) VLAN(_ context.Context, id int64) (ipam.VLAN, error) {
	m.reads++
	return ipam.VLAN{ID: id, FabricID: 7, VID: int(id), SpaceID: id % 2, RelayVLANID: map[int64]int64{5: 6}[id]}, nil
}

func (m *memParts) Fabric(_ context.Context, id int64) (ipam.Fabric, error) {
	m.reads++
	return ipam.Fabric{ID: id, Name: "leaf"}, nil
}

func (m *memParts) Space(_ context.Context, id int64) (ipam.Space, error) {
	m.reads++
	return ipam.Space{ID: id, Name: "dmz"}, nil
}

func (m *memParts) RangesOf(_ context.Context, subnet int64) ([]ipam.Range, error) {
	m.reads++
	return []ipam.Range{{ID: 3, SubnetID: subnet, Start: netip.MustParseAddr("192.0.2.1"), End: netip.MustParseAddr("192.0.2.2")}}, nil
}

func (m *memParts) OfSubnet(context.Context, int64) ([]string, error) {
	m.reads++
	return []string{"x"}, nil
}

// One subnet is shown from its own parts: the whole inventory would panic here.
func TestOneSubnetReadsItsParts(t *testing.T) {
	m := &memParts{}
	a := faked(t, stores{
		subnetRanges: m, subnetTags: m, vlansByID: getFunc[ipam.VLAN](m.VLAN), fabricsByID: getFunc[ipam.Fabric](m.Fabric), spacesByID: getFunc[ipam.Space](m.Space),
	})
	r := httptest.NewRequest("GET", "/", nil)
	shown, err := a.showSubnets(r, []ipam.Subnet{{ID: 1, VLANID: 5, Prefix: netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	got := shown[0].(Subnet)
	if got.Space != "dmz" || got.VLAN.Fabric != "leaf" || got.VLAN.RelayVLAN == nil || got.VLAN.RelayVLAN.VID != 6 || got.VLAN.RelayVLAN.Space != undefinedSpace ||
		len(got.Ranges) != 1 || got.Ranges[0].ID != 3 || len(got.TagNames) != 1 {
		text, _ := json.Marshal(got)
		t.Errorf("shown %s", text)
	}
	if m.reads != 7 {
		t.Errorf("%d reads", m.reads)
	}
}

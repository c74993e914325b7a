package siteimport_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/store/inventory/maasapi/maastest"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// A site that MAAS' API serves is imported as it was made.
func TestFetchMAAS(t *testing.T) {
	m := maastest.Start(t, maastest.Config{})
	want := sitedoc.Document{
		Zones: []sitedoc.Group{{Name: "east", Description: "the hall"}}, Pools: []sitedoc.Group{{Name: "lab"}}, Spaces: []sitedoc.Group{{Name: "dmz"}},
		Domains: []sitedoc.Domain{{Name: "example.org", TTL: 600}},
		Fabrics: []sitedoc.Fabric{{Name: "floor"}},
		VLANs:   []sitedoc.VLAN{{Fabric: "floor", VID: 0, Name: "untagged", MTU: 9000, Space: "dmz"}, {Fabric: "floor", VID: 12, Name: "office", MTU: 1500}},
		Subnets: []sitedoc.Subnet{{CIDR: "192.0.2.0/24", Name: "office", VLAN: "floor/12", Gateway: "192.0.2.1", DNSServers: []string{"192.0.2.53"}},
			{CIDR: "198.51.100.0/24", Name: "198.51.100.0/24", VLAN: "floor/0"}},
		Ranges:   []sitedoc.Range{{Type: "dynamic", Start: "192.0.2.100", End: "192.0.2.199"}},
		Routes:   []sitedoc.Route{{Source: "192.0.2.0/24", Destination: "198.51.100.0/24", Gateway: "192.0.2.2", Metric: 3}},
		Reserved: []sitedoc.ReservedIP{{IP: "192.0.2.10", MAC: "02:00:5e:00:00:10", Comment: "printer"}},
		Records:  []sitedoc.Record{{Domain: "example.org", Name: "www", Type: "A", Data: "192.0.2.80"}, {Domain: "example.org", Name: "@", Type: "MX", Data: "10 mail.example.org."}},
		Machines: []sitedoc.Machine{{Hostname: "node-1", Domain: "example.org", Zone: "east", Pool: "lab", Architecture: "amd64/generic",
			Interfaces: []sitedoc.Interface{{Name: "eth0", MAC: "02:00:5e:00:01:01", VLAN: "floor/12", Links: []sitedoc.Link{{Mode: "auto", Subnet: "192.0.2.0/24"}}}}}},
		Devices:  []sitedoc.Device{{Hostname: "cam", Domain: "example.org", Interfaces: []sitedoc.Interface{{Name: "eth0", MAC: "02:00:5e:00:02:01"}}}},
		Snippets: []sitedoc.Snippet{{Name: "ntp", Value: "option ntp-servers 192.0.2.123;", Subnet: "192.0.2.0/24"}},
	}
	if _, err := sitedoc.Apply(t.Context(), m.Inventory, want, sitedoc.Options{}); err != nil {
		t.Fatal(err)
	}
	fsys, names, err := siteimport.Fetch(t.Context(), nil, "maas", m.URL, m.Key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := siteimport.Read(fsys, siteimport.Options{Kind: "maas"}, names...)
	if err != nil {
		t.Fatal(err)
	}
	// Applied to the same site, it changes nothing.
	changes, err := sitedoc.Apply(t.Context(), m.Inventory, got.Document, sitedoc.Options{})
	if err != nil || len(changes) > 0 {
		t.Errorf("changes %v, %v", changes, err)
	}
	if diff := cmp.Diff(want.Reserved, got.Document.Reserved); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	other := maastest.Start(t, maastest.Config{})
	if _, err := sitedoc.Apply(t.Context(), other.Inventory, got.Document, sitedoc.Options{}); err != nil {
		t.Errorf("another site does not take it: %v", err)
	}
	again, err := sitedoc.Apply(t.Context(), other.Inventory, want, sitedoc.Options{})
	if err != nil || len(again) > 0 {
		t.Errorf("the copy differs from the site: %v, %v", again, err)
	}
}

// Pages of NetBox are followed, and no other host gets the token.
func TestFetchNetBox(t *testing.T) {
	asked := map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++
		switch {
		case r.Header.Get("Authorization") != "Token secret":
			http.Error(w, "no", http.StatusForbidden)
		case r.URL.Path == "/api/dcim/mac-addresses/":
			http.NotFound(w, r)
		case r.URL.Path == "/api/ipam/prefixes/" && r.URL.Query().Get("offset") == "":
			fmt.Fprint(w, `{"count":2,"next":"http://192.0.2.1/api/ipam/prefixes/?limit=1000&offset=1","results":[{"id":1,"prefix":"192.0.2.0/24"}]}`)
		case r.URL.Path == "/api/ipam/prefixes/":
			fmt.Fprint(w, `{"count":2,"next":null,"results":[{"id":2,"prefix":"198.51.100.0/24"}]}`)
		case r.URL.Path == "/api/virtualization/virtual-machines/":
			fmt.Fprint(w, `{"count":1,"next":null,"results":[{"id":1,"name":"vm-1"}]}`)
		case r.URL.Path == "/api/virtualization/interfaces/":
			fmt.Fprint(w, `{"count":1,"next":null,"results":[{"id":1,"name":"eth0","virtual_machine":{"id":1},"mac_address":"02:00:5E:00:00:01"}]}`)
		default:
			fmt.Fprint(w, `{"count":0,"next":null,"results":[]}`)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	fsys, names, err := siteimport.Fetch(t.Context(), server.Client(), "netbox", server.URL+"/", "secret")
	if err != nil {
		t.Fatal(err)
	}
	got, err := siteimport.Read(fsys, siteimport.Options{Kind: "netbox"}, names...)
	if err != nil || len(got.Document.Subnets) != 2 || len(got.Document.Devices) != 1 || asked["/api/ipam/prefixes/"] != 2 {
		t.Errorf("%+v, %v; asked %v", got.Document, err, asked)
	}
	for _, c := range []struct{ kind, base, token, want string }{
		{"netbox", server.URL, "wrong", "the token is not accepted"},
		{"netbox", server.URL + "/nowhere", "secret", "is the URL right?"},
		{"netbox", "nonsense", "secret", "is not the URL of a server"},
		{"maas", server.URL, "a:b", "has three parts"},
		{"kea", server.URL, "", "has no URL"},
	} {
		if _, _, err := siteimport.Fetch(t.Context(), server.Client(), c.kind, c.base, c.token); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.kind, c.base, err)
		}
	}
}

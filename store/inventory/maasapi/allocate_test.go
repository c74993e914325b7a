package maasapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// spacious is a site with two fabrics, of which the first has a space with two subnets and the
// second one with one, and a machine in each space and one on no network.
func spacious(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.visits(t, []visit{
		{"POST spaces/", "name=dmz", 200, ""}, {"POST spaces/", "name=lab", 200, ""}, {"POST spaces/", "name=empty", 200, ""},
		{"POST fabrics/", "name=leaf&class_type=fast", 200, ""},
		{"POST fabrics/1/vlans/", "vid=10&space=dmz&name=front", 200, ""}, {"POST fabrics/2/vlans/", "vid=10&space=lab", 200, ""},
		{"POST subnets/", "cidr=10.0.0.0/24&fabric=1&vid=10", 200, ""}, {"POST subnets/", "cidr=10.0.1.0/24&fabric=1&vid=10", 200, ""},
		{"POST subnets/", "cidr=10.1.0.0/24&fabric=2&vid=10", 200, ""},
	})
	for i, subnet := range []int64{1, 3, 0} {
		mac := []byte{2, 0, 0, 0, 0, byte(i)}
		m, err := s.inv.Machines.Create(t.Context(), inventory.Machine{
			Hostname: []string{"front", "back", "alone"}[i], Architecture: "amd64/generic", Status: inventory.StatusReady,
			Interfaces: []inventory.Interface{
				{Interface: ipam.Interface{MAC: mac, Kind: ipam.Physical, Enabled: true, Tags: []string{"t" + string(rune('0'+i))}}},
				{Interface: ipam.Interface{MAC: append([]byte{6}, mac[1:]...), Kind: ipam.Physical, Enabled: true}},
			},
		})
		if err == nil && subnet != 0 {
			_, err = s.inv.LinkInterface(t.Context(), m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkAuto, SubnetID: subnet})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Network constraints name sets of networks, in MAAS' specifiers, and interfaces= labels interfaces.
func TestAllocateByNetwork(t *testing.T) {
	s := spacious(t)
	for _, c := range []struct{ form, want string }{
		{"not_subnets=space:1&not_subnets=space:undefined", "back"},
		{"not_subnets=space:dmz,space:empty&subnets=space:2", "back"},
		{"subnets=space:dmz", "front"}, {"subnets=space:name:dmz", "front"}, {"subnets=fabric:leaf", "back"}, {"subnets=vid:10,%26!space:lab", "front"},
		{"subnets=fabric:leaf,%26vid:10", "back"}, {"subnets=fabric:leaf,%26vid:0xa&subnets=10.1.0.0/24", "back"}, {"subnets=vlan:id:3", "front"},
		{"subnets=10.0.1.0/24", "409"}, {"subnets=space:empty", "409"}, {"subnets=space:dmz&subnets=space:lab", "409"},
		{"not_subnets=vid:10", "alone"}, {"not_subnets=10.0.0.0/24&not_subnets=10.1.0.7", "alone"},
		{"fabrics=leaf", "back"}, {"not_fabrics=fabric-0&subnets=vid:10", "400"}, {"not_fabrics=leaf&subnets=vid:10", "front"}, {"fabric_classes=fast", "back"},
		{"interfaces=0:space=1", "front"}, {"interfaces=a:space=lab", "back"}, {"interfaces=a:space=lab,space=dmz,mode=auto,tag=t0", "front"},
		{"interfaces=a:tag=t1;b:name=eth1", "back"}, {"interfaces=a:tag=t1,name=eth1", "409"}, {"interfaces=a:vid=10,fabric=2", "back"}, {"interfaces=x:fabric_class=fast", "back"},
		{"interfaces=a:subnet=10.0.0.0/24", "front"}, {"interfaces=a:subnet_cidr=10.1.0.0/24,type=physical", "back"}, {"interfaces=a:hostname=alone", "alone"},
		{"interfaces=a:vlan=front", "front"}, {"interfaces=a:space=undefined", "409"}, {"interfaces=a:ip=10.0.0.200", "409"},
		{"interfaces=space=1", "400"}, {"interfaces=a:space", "400"}, {"interfaces=a:color=red", "400"}, {"interfaces=a:space=none", "400"},
		{"interfaces=a:space=1;a:space=2", "400"}, {"interfaces=a:link_speed=1000", "501"}, {"subnets=space:none", "400"}, {"not_subnets=space:", "400"},
	} {
		form, err := url.ParseQuery(strings.ReplaceAll(c.form, ";", "%3B"))
		if err != nil {
			t.Fatal(err)
		}
		form.Set("dry_run", "true")
		code, body := s.do("POST", base+"machines/?op=allocate", form)
		var got struct {
			Hostname    string `json:"hostname"`
			Constraints struct {
				Interfaces map[string][]int64 `json:"interfaces"`
			} `json:"constraints_by_type"`
		}
		if code == 200 {
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
		} else {
			got.Hostname = map[int]string{400: "400", 409: "409", 501: "501"}[code]
		}
		if got.Hostname != c.want || strings.Contains(body, "inventory:") || strings.Contains(body, "ipam:") {
			t.Errorf("%s: %s (%d %.200s), want %s", c.form, got.Hostname, code, body, c.want)
		}
		if n := strings.Count(c.form, ":"); code == 200 && strings.HasPrefix(c.form, "interfaces=") && len(got.Constraints.Interfaces) != n {
			t.Errorf("%s: constraints met by %v", c.form, got.Constraints.Interfaces)
		}
	}
}

// Clients take an error with these words for what is gone already.
func TestWhatDoesNotExist(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	for _, visit := range []string{
		"GET machines/x/", "GET subnets/9/", "GET devices/x/", "GET domains/9/", "GET dnsresources/9/", "GET dnsresourcerecords/9/", "GET vlans/9/", "GET fabrics/9/",
		"GET spaces/9/", "GET tags/x/", "GET zones/x/", "GET resourcepool/9/", "GET ipranges/9/", "GET static-routes/9/", "GET reservedips/9/", "GET users/x/",
		"GET dhcp-snippets/9/", "GET nodes/node1/interfaces/eth9/", "GET nodes/x/interfaces/", "GET rackcontrollers/x/", "GET regioncontrollers/x/", "GET notifications/9/",
		"GET discovery/x/", "GET tsigkeys/9/", "DELETE fabrics/1/vlans/9/", "DELETE machines/x/", "DELETE subnets/9/", "DELETE ipranges/9/", "DELETE tags/x/",
		"GET account/prefs/sshkeys/9/", "DELETE dnsresources/9/",
	} {
		method, path, _ := strings.Cut(visit, " ")
		if code, body := s.do(method, base+path, nil); code != 404 || !strings.Contains(body, "does not exist") {
			t.Errorf("%s: %d %s", visit, code, body)
		}
	}
	for _, ip := range []string{"192.0.2.9", "2001:db8::9"} {
		if code, body := s.do("POST", base+"ipaddresses/?op=release", url.Values{"ip": {ip}}); code != 404 || !strings.Contains(body, "does not exist") {
			t.Errorf("release %s: %d %s", ip, code, body)
		}
	}
}

// The notices of exhaustion are MAAS' notifications.
func TestNotifications(t *testing.T) {
	s := newSite(t)
	s.visits(t, []visit{
		{"GET notifications/", "", 200, "[]"},
		{"POST subnets/", "cidr=192.0.2.0/26&name=small", 200, ""}, {"POST ipranges/", "type=reserved&start_ip=192.0.2.1&end_ip=192.0.2.50", 200, ""}, {"POST subnets/", "cidr=10.0.0.0/16&name=large", 200, ""},
		{"GET notifications/", "", 200, `"category":"warning" & subnet small`},
		{"GET notifications/1/", "", 200, `"ident":"ip_exhaustion__subnet_1"`},
		{"GET notifications/2/", "", 404, "does not exist"},
		{"GET notifications/x/", "", 400, "is not a number"},
		{"GET notifications/?op=dismiss", "", 501, ""},
		{"DELETE subnets/small/", "", 204, ""},
		{"GET notifications/", "", 200, "[]"},
	})
}

// What a full disk does is said where it is met, without the name of the file.
func TestFullDiskIsSaid(t *testing.T) {
	full := &store.OpenError{Name: "/data/maas.db", Why: "the disk is full", Cure: "make room on it"}
	s := newSite(t)
	s.serve(t, maasapi.Config{More: map[string]maasapi.Endpoint{"GET /api/v1/full": func(*http.Request) (any, error) { return nil, full }}})
	if code, body := s.do("GET", "/api/v1/full", nil); code != 503 || strings.TrimSpace(body) != "the site's database: the disk is full; make room on it" {
		t.Errorf("%d %s", code, body)
	}
}

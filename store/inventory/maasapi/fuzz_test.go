package maasapi_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// forms are endpoints that take one.
var forms = []string{
	"POST fabrics/", "PUT fabrics/1/", "POST fabrics/1/vlans/", "PUT fabrics/1/vlans/0/", "POST spaces/", "POST subnets/", "PUT subnets/1/",
	"POST ipranges/", "POST static-routes/", "POST reservedips/", "POST zones/", "PUT zones/default/", "POST resourcepools/", "PUT resourcepool/default/",
	"POST domains/", "PUT domains/1/", "POST dnsresources/", "POST dnsresourcerecords/", "POST devices/", "POST machines/", "PUT machines/node1/",
	"POST machines/?op=allocate", "POST machines/?op=release", "POST ipaddresses/?op=reserve", "POST ipaddresses/?op=release",
	"POST nodes/node1/interfaces/?op=create_physical", "POST nodes/node1/interfaces/?op=create_bond", "PUT nodes/node1/interfaces/1/",
	"POST nodes/node1/interfaces/1/?op=link_subnet", "POST nodes/node1/interfaces/1/?op=unlink_subnet", "POST maas/?op=set_config", "POST discovery/?op=scan",
	"POST tags/", "PUT tags/gpu/", "POST tags/gpu/?op=update_nodes", "POST dhcp-snippets/", "PUT dhcp-snippets/1/", "POST dhcp-classes/", "POST users/", "PUT users/admin/",
	"POST account/?op=create_authorisation_token", "POST account/prefs/sshkeys/", "POST nodes/node1/interfaces/1/?op=set_default_gateway",
	"POST machines/node1/?op=lock", "POST machines/node1/?op=unlock", "POST machines/node1/?op=release",
	"PUT spaces/1/", "PUT ipranges/1/", "PUT static-routes/1/", "PUT reservedips/1/", "PUT dnsresources/1/", "PUT dnsresourcerecords/1/", "PUT vlans/1/",
	"POST nodes/node1/interfaces/?op=create_bridge", "POST nodes/node1/interfaces/?op=create_vlan", "POST nodes/node1/interfaces/1/?op=disconnect",
	"POST account/?op=update_token_name", "POST account/?op=delete_authorisation_token",
}

// No form, and no object of JSON in its place, makes the region fail, and one that is refused changes nothing.
func FuzzForms(f *testing.F) {
	f.Add(uint8(5), "cidr=10.0.0.0/24&vlan=1&managed=true&dns_servers=1.1.1.1,2.2.2.2&rdns_mode=2")
	f.Add(uint8(7), "type=dynamic&start_ip=192.0.2.10&end_ip=192.0.2.20&subnet=1")
	f.Add(uint8(2), "vid=100&mtu=9000&dhcp_on=true&primary_rack=x&space=undefined&relay_vlan=1")
	f.Add(uint8(16), "fqdn=web.maas&ip_addresses=192.0.2.9 2001:db8::1&address_ttl=5")
	f.Add(uint8(19), "hostname=n2&mac_addresses=02:00:00:00:00:02&power_type=ipmi&power_parameters_power_address=192.0.2.2")
	f.Add(uint8(20), "power_type=manual&zone=default&pool=default&domain=maas")
	f.Add(uint8(28), "mode=STATIC&subnet=1&ip_address=192.0.2.30")
	f.Add(uint8(23), "subnet=192.0.2.0/24&hostname=x&comment=y")
	f.Add(uint8(18), "mac_addresses=02:00:00:00:00:09&parent=node1")
	f.Add(uint8(26), "name=bond0&parents=1&bond_mode=802.3ad&vlan=1")
	f.Add(uint8(35), "name=a&value=option 43 \"x\"; option dhcp6.23 ::1&subnet=1&enabled=no")
	f.Add(uint8(33), "name=gpu2&kernel_opts=iommu=on {mac}")
	f.Add(uint8(37), "username=bob&password=12345678&role=operator&is_superuser=1")
	f.Add(uint8(5), `{"cidr": "10.9.0.0/24", "vlan": 1, "managed": null, "dns_servers": ["1.1.1.1", "2.2.2.2"], "rdns_mode": 2}`)
	f.Add(uint8(19), `{"hostname": "n3", "mac_addresses": ["02:00:00:00:00:03"], "power_parameters": {"power_address": "192.0.2.2"}, "tags": []}`)
	s := newSite(f) // one for all inputs: making one takes much longer than using it
	if code, body := s.do("POST", base+"machines/", node1); code != http.StatusOK {
		f.Fatal(code, body)
	}
	if code, body := s.do("POST", base+"subnets/", url.Values{"cidr": {"192.0.2.0/24"}, "managed": {"true"}}); code != http.StatusOK {
		f.Fatal(code, body)
	}
	for path, form := range map[string]url.Values{
		"tags/": {"name": {"gpu"}}, "dhcp-snippets/": {"name": {"x"}, "value": {"option 42 192.0.2.1"}},
	} {
		if code, body := s.do("POST", base+path, form); code != http.StatusOK {
			f.Fatal(code, body)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		form, err := url.ParseQuery(text)
		kind, sent := "application/x-www-form-urlencoded", form.Encode()
		if strings.HasPrefix(text, "{") {
			kind, sent, err = "application/json", text, nil
		}
		if err != nil || len(text) > 4096 {
			return
		}
		before, err := s.inv.Revision(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		method, path, _ := strings.Cut(forms[int(which)%len(forms)], " ")
		answer := s.call(method, base+path, sent, "Content-Type", kind)
		code := answer.Code
		if code == http.StatusInternalServerError {
			t.Errorf("%s %s %s: %s", method, path, sent, answer.Body)
		}
		after, err := s.inv.Revision(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if code >= 400 && code != http.StatusServiceUnavailable && after != before && !slices.Contains([]string{"discovery/?op=scan"}, path) {
			t.Errorf("%s %s %s: refused with %d, and the revision went from %d to %d", method, path, sent, code, before, after)
		}
	})
}

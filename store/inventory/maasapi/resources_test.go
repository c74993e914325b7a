package maasapi_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

// visit is a request and its answer. The form is in the URL encoding; a GET has none.
type visit struct {
	do   string // method and path below the MAAS API, or the whole path
	form string
	code int
	want string // in the body; several, separated by " & "
}

func (s *site) visits(t *testing.T, steps []visit) {
	t.Helper()
	for _, x := range steps {
		method, path, _ := strings.Cut(x.do, " ")
		if !strings.HasPrefix(path, "/") {
			path = base + path
		}
		form, err := url.ParseQuery(x.form)
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodGet {
			form = nil
		}
		code, body := s.do(method, path, form)
		if code != x.code {
			t.Errorf("%s %s: %d %s, want %d", x.do, x.form, code, body, x.code)
			continue
		}
		for want := range strings.SplitSeq(x.want, " & ") {
			if !strings.Contains(body, want) {
				t.Errorf("%s %s: %s, want %s", x.do, x.form, body, want)
			}
		}
	}
}

func TestSpacesAndVLANs(t *testing.T) {
	newSite(t).visits(t, []visit{
		{"POST spaces/", "name=dmz&description=outside", 200, `"name":"dmz","description":"outside" & "vlans":[],"subnets":[]`},
		{"POST spaces/", "name=dmz", 400, "dmz"},
		{"POST fabrics/", "name=leaf", 200, `"name":"leaf" & "vid":0`},
		{"POST fabrics/2/vlans/", "name=v", 400, `"vid":["is needed, from 0 to 4094"]`},
		{"POST fabrics/2/vlans/", "vid=30&name=storage&space=dmz&mtu=9000", 200, `"space":"dmz" & "mtu":9000 & "fabric":"leaf"`},
		{"POST fabrics/9/vlans/", "vid=30", 404, ""},
		{"POST subnets/", "cidr=192.0.2.0/24&fabric=leaf&vid=30", 200, `"space":"dmz"`},
		{"POST subnets/", "cidr=192.0.3.0/24&fabric=leaf&vid=31", 400, "the fabric has no VLAN 31"},
		{"POST subnets/", "cidr=192.0.3.0/24&fabric=spine", 400, `"fabric"`},
		{"PUT subnets/192.0.2.0%2F24/", "relays=10.255.0.1,10.255.0.2", 200, `"relays":["10.255.0.1","10.255.0.2"]`},
		{"GET subnets/192.0.2.0%2F24/", "", 200, `"relays":["10.255.0.1","10.255.0.2"]`},
		{"POST subnets/", "cidr=192.0.4.0/24&vlan=1&relays=10.255.0.2", 400, `"relays":["10.255.0.2 is a relay of subnet`},
		{"PUT subnets/192.0.2.0%2F24/", "relays=router", 400, `"relays":["\"router\" is not an IP address"]`},
		{"PUT subnets/192.0.2.0%2F24/", "relays=fe80::1", 400, `"relays":["fe80::1 is not of the address family`},
		{"PUT subnets/192.0.2.0%2F24/", "relays=", 200, `"relays":[]`},
		{"PUT subnets/192.0.2.0%2F24/", "delegated_prefixes=2001:db8::/48-60", 400, `"delegated_prefixes":["2001:db8::/48-60 cannot be delegated on an IPv4 subnet`},
		{"PUT subnets/192.0.2.0%2F24/", "delegated_prefixes=2001:db8::/48", 400, `is not a pool of prefixes`},
		{"GET spaces/1/", "", 200, `"cidr":"192.0.2.0/24" & "vid":30`},
		{"GET fabrics/2/vlans/", "", 200, `"vid":0 & "vid":30`},
		{"GET fabrics/2/vlans/30/", "", 200, `"name":"storage"`},
		{"GET fabrics/2/vlans/31/", "", 404, ""},
		{"GET fabrics/2/vlans/x/", "", 400, `"vid"`},
		{"PUT fabrics/2/vlans/30/", "vid=32", 200, `"vid":32`},
		{"GET vlans/3/", "", 200, `"vid":32`},
		{"PUT vlans/3/", "space=undefined", 200, `"space":"undefined"`},
		{"PUT vlans/3/", "dhcp_mode=loud", 400, "dhcp_mode"},
		{"PUT vlans/3/", "relay_vlan=1", 200, `"relay_vlan":{"id":1`},
		{"PUT vlans/3/", "relay_vlan=", 200, `"relay_vlan":null`},
		{"PUT spaces/1/", "name=outside", 200, `"name":"outside"`},
		{"PUT spaces/undefined/", "name=x", 400, ""},
		{"DELETE spaces/1/", "", 204, ""},
		{"GET spaces/1/", "", 404, ""},
		{"DELETE fabrics/2/", "", 409, "192.0.2.0/24"},
		{"DELETE subnets/192.0.2.0%2F24/", "", 204, ""},
		{"DELETE fabrics/2/", "", 204, ""},
		{"GET fabrics/", "", 200, `"id":1`},
	})
}

func TestRoutesRangesAndReservedIPs(t *testing.T) {
	newSite(t).visits(t, []visit{
		{"POST subnets/", "cidr=192.0.2.0/24&name=a&gateway_ip=192.0.2.1", 200, `"gateway_ip":"192.0.2.1"`},
		{"POST subnets/", "cidr=198.51.100.0/24&name=b", 200, ""},
		{"POST static-routes/", "source=192.0.2.0/24&destination=b&gateway_ip=192.0.2.1&metric=7", 200, `"metric":7 & "gateway_ip":"192.0.2.1" & "destination":{"id":2`},
		{"POST static-routes/", "source=192.0.2.0/24&destination=b&gateway_ip=203.0.113.1", 400, `"gateway_ip"`},
		{"POST static-routes/", "source=c&destination=b&gateway_ip=192.0.2.1", 400, `"source"`},
		{"GET static-routes/", "", 200, `"resource_uri":"/MAAS/api/2.0/static-routes/1/"`},
		{"PUT static-routes/1/", "metric=x", 400, `"metric":["\"x\" is not a whole number"]`},
		{"PUT static-routes/1/", "metric=9", 200, `"metric":9`},
		{"DELETE static-routes/1/", "", 204, ""},
		{"POST ipranges/", "start_ip=192.0.2.10&end_ip=192.0.2.20", 400, `"type":["is needed: dynamic or reserved"]`},
		{"POST ipranges/", "type=magic&start_ip=192.0.2.10&end_ip=192.0.2.20", 400, "neither dynamic nor reserved"},
		{"POST ipranges/", "type=reserved&start_ip=203.0.113.1&end_ip=203.0.113.2", 400, "203.0.113.1 is in no subnet"},
		{"POST ipranges/", "type=reserved&start_ip=192.0.2.10&end_ip=192.0.2.20&comment=printers", 200, `"comment":"printers" & "user":{"username":"admin"}`},
		{"PUT ipranges/1/", "end_ip=192.0.2.21", 200, `"end_ip":"192.0.2.21" & "comment":"printers"`},
		{"GET subnets/a/?op=reserved_ip_ranges", "", 200, `"start":"192.0.2.10","end":"192.0.2.21","num_addresses":12`},
		{"GET subnets/a/?op=unreserved_ip_ranges", "", 200, `"start":"192.0.2.2","end":"192.0.2.9","num_addresses":8`},
		{"GET subnets/a/?op=statistics", "", 200, `"total_addresses":254 & "ip_version":4 & "first_address":"192.0.2.1"`},
		{"GET subnets/a/?op=dance", "", 501, "subnet op=dance"},
		{"POST reservedips/", "ip=192.0.2.30&mac_address=02:00:00:00:00:30&comment=door", 200, `"ip":"192.0.2.30","mac_address":"02:00:00:00:00:30" & "subnet":{"id":1`},
		{"POST reservedips/", "ip=203.0.113.3&mac_address=02:00:00:00:00:31", 400, "203.0.113.3 is in no subnet"},
		{"PUT reservedips/1/", "comment=gate", 200, `"comment":"gate"`},
		{"PUT reservedips/1/", "ip=192.0.2.31", 400, "cannot be changed"},
		{"GET reservedips/", "", 200, `"comment":"gate"`},
		{"DELETE reservedips/1/", "", 204, ""},
		{"DELETE ipranges/1/", "", 204, ""},
		{"DELETE subnets/a/?force=true", "", 204, ""},
		{"GET ipranges/", "", 200, "[]"},
	})
}

func TestAddresses(t *testing.T) {
	newSite(t).visits(t, []visit{
		{"POST subnets/", "cidr=192.0.2.0/24&name=a", 200, ""},
		{"POST ipaddresses/?op=reserve", "", 400, `"ip":["or subnet is needed"]`},
		{"POST ipaddresses/?op=reserve", "subnet=a&mac=02:00:00:00:00:01", 501, "reservedips does that"},
		{"POST ipaddresses/?op=reserve", "ip=192.0.2.77&comment=vip", 200, `"ip":"192.0.2.77" & "alloc_type_name":"User reserved"`},
		{"POST ipaddresses/?op=reserve", "subnet=a&ip_address=192.0.2.66", 200, `"ip":"192.0.2.66"`},
		{"POST ipaddresses/?op=reserve", "ip=192.0.2.77", 400, "192.0.2.77"},
		{"POST ipaddresses/?op=dance", "", 501, ""},
		{"GET ipaddresses/", "", 200, `[{"ip":"192.0.2.66" & "ip":"192.0.2.77"`},
		{"GET ipaddresses/?ip=192.0.2.66", "", 200, `"ip":"192.0.2.66"`},
		{"GET ipaddresses/?owner=olga", "", 200, "[]"},
		{"GET ipaddresses/?owner=olga&all=true", "", 200, `"ip":"192.0.2.77"`},
		{"GET ipaddresses/?all=perhaps", "", 400, `"all"`},
		{"GET ipaddresses/?op=x", "", 501, ""},
		{"GET subnets/a/?op=ip_addresses", "", 200, `{"ip":"192.0.2.66","alloc_type":4 & "user":"admin"`},
		{"POST ipaddresses/?op=release", "", 400, `"ip":["is needed"]`},
		{"POST ipaddresses/?op=release", "ip=192.0.2.66&discovered=true", 501, "observed addresses"},
		{"POST ipaddresses/?op=release", "ip=192.0.2.66", 204, ""},
		{"POST ipaddresses/?op=release", "ip=192.0.2.66&force=true", 404, ""},
	})
}

func TestInterfaces(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	const nic = "nodes/node1/interfaces/"
	s.visits(t, []visit{
		{"POST subnets/", "cidr=192.0.2.0/24&name=a&gateway_ip=192.0.2.1", 200, ""},
		{"POST subnets/", "cidr=198.51.100.0/24&name=b", 200, ""},
		{"GET " + nic, "", 200, `"name":"eth0","type":"physical"`},
		{"GET nodes/node2/interfaces/", "", 404, ""},
		{"GET " + nic + "eth7/", "", 404, `eth7`},
		{"POST " + nic + "eth0/?op=link_subnet", "mode=MAGIC&subnet=a", 400, `none of AUTO, DHCP, STATIC and LINK_UP`},
		{"POST " + nic + "eth0/?op=link_subnet", "mode=STATIC&subnet=a&ip_address=192.0.2.5", 200, `"mode":"static","ip_address":"192.0.2.5"`},
		{"POST " + nic + "eth0/?op=set_default_gateway", "link_id=99", 400, `"link_id"`},
		{"POST " + nic + "eth0/?op=set_default_gateway", "", 200, ""},
		{"GET machines/node1/", "", 200, `"ipv4":{"gateway_ip":"192.0.2.1","link_id":1}`},
		{"POST machines/node1/?op=clear_default_gateways", "", 200, `"ipv4":{"gateway_ip":null,"link_id":null}`},
		{"POST " + nic + "eth0/?op=unlink_subnet", "id=99", 400, "interface eth0 has no link 99"},
		{"POST " + nic + "eth0/?op=unlink_subnet", "id=x", 400, `"id"`},
		{"POST " + nic + "eth0/?op=unlink_subnet", "id=1", 200, `"links":[]`},
		{"POST " + nic + "eth0/?op=link_subnet", "mode=DHCP&subnet=a", 200, `"mode":"dhcp"`},
		{"POST " + nic + "eth0/?op=link_subnet", "mode=AUTO&subnet=a&force=true", 200, `"links":[{"id":3,"mode":"auto"`},
		{"POST " + nic + "?op=create_vlan", "parent=eth0&vlan=9", 400, `"vlan"`},
		{"POST " + nic + "?op=create_bridge", "name=br0&parent=eth0&bridge_stp=true&mtu=9000", 200, `"type":"bridge" & "parents":["eth0"] & "bridge_stp":"true"`},
		{"POST " + nic + "?op=create_bond", "name=bond0&parents=eth9", 400, `no interface \"eth9\"`},
		{"POST " + nic + "?op=create_physical", "mac_address=02:00:00:00:00:55&name=eth1", 200, `"name":"eth1"`},
		{"POST " + nic + "?op=create_tunnel", "", 501, "interfaces op=create_tunnel"},
		{"POST " + nic + "eth0/?op=add_tag", "", 400, "one tag is needed"},
		{"PUT " + nic + "eth0/", "tags=uplink,leaf,uplink", 200, `"tags":["uplink","leaf"]`},
		{"PUT " + nic + "eth0/", "name=eth0", 200, `"tags":["uplink","leaf"]`},
		{"POST " + nic + "eth0/?op=add_tag", "tag=rack-1", 200, `"tags":["uplink","leaf","rack-1"]`},
		{"POST " + nic + "eth0/?op=add_tag", "tag=leaf", 200, `"tags":["uplink","leaf","rack-1"]`},
		{"POST " + nic + "eth0/?op=remove_tag", "tag=leaf", 200, `"tags":["uplink","rack-1"]`},
		{"POST " + nic + "eth0/?op=remove_tag", "tag=none", 200, `"tags":["uplink","rack-1"]`},
		{"PUT " + nic + "eth0/", "tags=", 200, `"tags":[]`},
		{"POST " + nic + "eth0/?op=replace", "", 501, "interface op=replace"},
		{"GET " + nic + "eth0/", "", 200, `"children":["br0"]`},
		{"PUT " + nic + "eth1/", "name=nic1&enabled=false", 200, `"name":"nic1" & "enabled":false`},
		{"PUT " + nic + "nic1/", "mac_address=nonsense", 400, `"mac_address"`},
		{"POST " + nic + "nic1/?op=disconnect", "", 200, `"vlan":null & "links":[]`},
		{"DELETE " + nic + "br0/", "", 204, ""},
		{"DELETE " + nic + "nic1/", "", 204, ""},
		{"GET " + nic, "", 200, `"name":"eth0" & "children":[]`},
	})
}

func TestDNSResources(t *testing.T) {
	newSite(t).visits(t, []visit{
		{"POST domains/", "name=lab.example&ttl=60&forward_dns_servers=192.0.2.53&authoritative=false", 200, `"ttl":60 & "authoritative":false & "forward_dns_servers":["192.0.2.53:53"]`},
		{"POST domains/", "name=x.example&forward_dns_servers=nonsense", 400, `"forward_dns_servers"`},
		{"PUT domains/2/", "authoritative=true&forward_dns_servers=&allow_transfer=192.0.2.0/24&notify=192.0.2.9", 200, `"allow_transfer":["192.0.2.0/24"] & "notify":["192.0.2.9:53"]`},
		{"PUT domains/2/", "dnssec=true", 400, "takes a key of secrets"},
		{"PUT domains/2/", "allow_update=a:b:c:d", 400, `"allow_update"`},
		{"POST dnsresources/", "fqdn=www.lab.example&ip_addresses=192.0.2.1 2001:db8::1&address_ttl=30", 200, `"fqdn":"www.lab.example" & "address_ttl":30 & "ip":"2001:db8::1"`},
		{"POST dnsresources/", "fqdn=www.other.example&ip_addresses=192.0.2.1", 400, "is in none of the domains"},
		{"POST dnsresources/", "name=empty&domain=lab.example", 400, "at least one is needed"},
		{"POST dnsresourcerecords/", "fqdn=www.lab.example&rrtype=TXT&rrdata=hello&ttl=5", 200, `"rrtype":"TXT" & "ttl":5`},
		{"POST dnsresourcerecords/", "fqdn=lab.example&rrtype=MX&rrdata=10 www.lab.example.", 200, `"fqdn":"lab.example"`},
		{"GET dnsresources/?fqdn=www.lab.example", "", 200, `"rrdata":"hello" & "ip":"192.0.2.1"`},
		{"GET dnsresources/?domain=maas", "", 200, "[]"},
		{"GET dnsresourcerecords/?rrtype=mx", "", 200, `"rrtype":"MX"`},
		{"GET dnsresourcerecords/?name=www&domain=2", "", 200, `"rrtype":"TXT" & "rrtype":"A"`},
		{"PUT dnsresources/1/", "ip_addresses=192.0.2.2&name=web", 200, `"id":1,"fqdn":"web.lab.example" & "ip_addresses":[{"ip":"192.0.2.2"`},
		{"GET dnsresourcerecords/?rrtype=AAAA", "", 200, "[]"},
		{"PUT dnsresourcerecords/3/", "rrdata=bye", 200, `"rrdata":"bye"`},
		{"GET dnsresources/99/", "", 404, ""},
		{"GET domains/", "", 200, `"resource_record_count":3`},
		{"DELETE dnsresources/1/", "", 204, ""},
		{"GET dnsresourcerecords/3/", "", 404, ""},
		{"DELETE domains/1/", "", 409, ""},
	})
}

func TestZonesPoolsAndDevices(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	s.visits(t, []visit{
		{"POST zones/", "name=east&description=hall 1", 200, `"resource_uri":"/MAAS/api/2.0/zones/east/"`},
		{"PUT zones/east/", "name=west", 200, `"name":"west"`},
		{"GET zones/east/", "", 404, ""},
		{"POST resourcepools/", "name=gpu", 200, `"resource_uri":"/MAAS/api/2.0/resourcepool/2/"`},
		{"GET pools/", "", 200, `"name":"gpu"`},
		{"PUT resourcepool/gpu/", "description=fast", 200, `"description":"fast"`},
		{"GET resourcepool/x/", "", 404, ""},
		{"PUT machines/node1/", "zone=west&pool=gpu&description=x", 200, `"zone":{"id":2,"name":"west" & "pool":{"id":2,"name":"gpu"`},
		{"PUT machines/node1/", "pool=cpu", 400, "there is no pool"},
		{"DELETE zones/west/", "", 204, ""},
		{"POST devices/", "hostname=printer", 400, `"mac_addresses":["at least one is needed"]`},
		{"POST devices/", "hostname=printer&mac_addresses=x", 400, `"mac_addresses"`},
		{"POST devices/", "hostname=printer&mac_addresses=02:00:00:00:00:88&parent=node1", 200, `"fqdn":"printer.maas" & "owner":"admin"`},
		{"GET devices/?mac_address=02:00:00:00:00:88", "", 200, `"hostname":"printer"`},
		{"GET devices/?hostname=scanner", "", 200, "[]"},
		{"GET devices/none/", "", 404, ""},
	})
	_, body := s.do("GET", base+"devices/", nil)
	_, id, _ := strings.Cut(body, `"system_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	s.visits(t, []visit{
		{"PUT devices/" + id + "/", "hostname=plotter", 200, `"fqdn":"plotter.maas"`},
		{"POST dhcp-snippets/", "name=ntp&value=option ntp-servers 192.0.2.1%3B&node=" + id, 200, `"hostname":"plotter" & "global_snippet":false`},
		{"PUT dhcp-snippets/1/", "global_snippet=true", 200, `"node":null & "global_snippet":true`},
		{"PUT dhcp-snippets/1/", "global_snippet=true&node=node1", 400, `"global_snippet"`},
		{"PUT dhcp-snippets/1/", "iprange=x", 400, "is not the number of a range"},
		{"PUT dhcp-snippets/1/", "iprange=9", 400, "iprange"},
		{"DELETE dhcp-snippets/1/", "", 204, ""},
		{"DELETE devices/" + id + "/", "", 204, ""},
	})
}

func TestDHCPClasses(t *testing.T) {
	s := newSite(t)
	s.visits(t, []visit{
		{"POST subnets/", "cidr=192.0.2.0/24&name=a", 200, ""},
		{"GET dhcp-classes/", "", 200, "[]"},
		{"POST dhcp-classes/", "name=phones&vendor_class=Phone&mac_prefix=02-00-5E&options=option 66 \"x\"%3B", 200, `"id":1,"name":"phones" & "vendor_class":"Phone" & "arch":[] & "mac_prefix":"02:00:5e" & "ignore":false & /dhcp-classes/1/`},
		{"POST dhcp-classes/", "name=phones&vendor_class=x", 400, `there is already a dhcp-class with name phones`},
		{"POST dhcp-classes/", "vendor_class=x", 400, `"name":["is missing`},
		{"POST dhcp-classes/", "name=x", 400, `"__all__":["selects every client; set one of vendor_class`},
		{"POST dhcp-classes/", "name=x&mac_prefix=zz", 400, `"mac_prefix":["\"zz\" is not the beginning of a MAC address; write`},
		{"POST dhcp-classes/", "name=x&mac_prefix=02:00:00:00:00:01:02", 400, `"mac_prefix"`},
		{"POST dhcp-classes/", "name=x&circuit_id=0x123", 400, `"circuit_id"`},
		{"POST dhcp-classes/", "name=x&arch=amd", 400, `"arch":["\"amd\" is neither a number`},
		{"POST dhcp-classes/", "name=x&arch=7&options=ntp", 400, `"options":["\"ntp\" is not understood; write option NAME VALUE`},
		{"POST dhcp-classes/", "name=x&user_class=" + strings.Repeat("u", 256), 400, `"user_class":["has 256 bytes`},
		{"POST dhcp-classes/", "name=uefi&arch=0x10,uefi-amd64-pxe&circuit_id=0x00FF&ignore=true&sequence=5", 200, `"sequence":5 & "arch":[7,9,16] & "circuit_id":"0x00ff","ignore":true`},
		{"PUT dhcp-classes/uefi/", "arch=", 200, `"arch":[]`},
		{"PUT dhcp-classes/2/", "circuit_id=", 400, `selects every client`},
		{"PUT dhcp-classes/2/", "circuit_id=port 7", 200, `"circuit_id":"port 7"`},
		{"GET dhcp-classes/phones/", "", 200, `"id":1`},
		{"GET dhcp-classes/9/", "", 404, ""},
		{"POST ipranges/", "type=dynamic&start_ip=192.0.2.100&end_ip=192.0.2.120&dhcp_class=phones", 200, `"dhcp_class":"phones"`},
		{"POST ipranges/", "type=reserved&start_ip=192.0.2.10&end_ip=192.0.2.12&dhcp_class=phones", 400, `"dhcp_class":["is of dynamic ranges alone`},
		{"POST ipranges/", "type=dynamic&start_ip=192.0.2.10&end_ip=192.0.2.12&dhcp_class=fax", 400, `"dhcp_class":["there is no dhcp-class \"fax\"`},
		{"DELETE dhcp-classes/phones/", "", 409, `in the way are range`},
		{"PUT ipranges/1/", "dhcp_class=", 200, `"dhcp_class":""`},
		{"DELETE dhcp-classes/phones/", "", 204, ""},
	})
}

func TestAllocation(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	s.visits(t, []visit{
		{"POST subnets/", "cidr=192.0.2.0/24&name=a", 200, ""},
		{"POST tags/", "name=fast", 200, ""},
		{"POST machines/?op=allocate", "tags=fast", 409, "no machine that is ready and free"},
		{"POST machines/?op=allocate", "tags=slow", 400, `"tags"`},
		{"POST machines/?op=allocate", "subnets=a", 409, ""},
		{"POST machines/?op=allocate", "not_subnets=nowhere", 400, `"not_subnets"`},
		{"POST machines/?op=allocate", "zone=nowhere", 400, `"zone"`},
		{"POST machines/?op=allocate", "mem=1024", 501, "allocating by mem"},
		{"POST machines/?op=allocate", "arch=arm64", 409, ""},
		{"POST machines/?op=allocate", "arch=amd64&dry_run=true", 200, `"status_name":"Ready"`},
		{"POST tags/fast/?op=update_nodes", "add=node1", 200, `{"added":1,"removed":0}`},
		{"POST machines/?op=allocate", "tags=fast&not_subnets=a", 200, `"status_name":"Allocated" & "owner":"admin" & "constraints_by_type":{}`},
		{"POST machines/?op=allocate", "name=node1", 409, ""},
		{"POST machines/node1/?op=lock", "", 200, `"locked":true`},
		{"POST machines/node1/?op=power_off", "", 409, "node1.maas is locked"},
		{"POST machines/node1/?op=release", "", 409, "unlock it first"},
		{"POST machines/?op=release", "machines=node1", 409, ""},
		{"POST machines/node1/?op=unlock", "", 200, `"locked":false`},
		{"POST machines/?op=release", "machines=node1,node2", 400, `there is no machine \"node2\"`},
		{"GET machines/node1/", "", 200, `"status_name":"Allocated"`},
		{"POST machines/?op=release", "machines=node1", 200, `["`},
		{"GET machines/node1/", "", 200, `"status_name":"Ready" & "owner":""`},
		{"POST machines/node1/?op=release", "", 200, `"status_name":"Ready"`},
		{"GET machines/node1/?op=details", "", 200, "lldp"},
		{"POST machines/?op=add_chassis", "", 501, ""},
		{"PUT machines/node1/", "power_parameters_power_user=root", 200, `"power_type":"ipmi"`},
		{"PUT machines/node1/", "power_type=manual", 200, `"power_type":"manual"`},
	})
}

func TestSettings(t *testing.T) {
	newSite(t).visits(t, []visit{
		{"GET maas/?op=get_config&name=upstream_dns", "", 200, `""`},
		{"GET maas/?op=get_config", "", 200, `"dnssec_validation":"auto" & "enable_http_proxy":true`},
		{"GET maas/?op=get_config&name=tls_port", "", 501, "name=tls_port"},
		{"POST maas/?op=set_config", "name=upstream_dns&value=192.0.2.53", 200, `"OK"`},
		{"GET maas/?op=get_config&name=upstream_dns", "", 200, `"192.0.2.53"`},
		{"POST maas/?op=set_config", "name=upstream_dns&value=nonsense", 400, ""},
		{"POST maas/?op=set_config", "name=network_discovery&value=disabled", 200, ""},
		{"GET /api/v1/discovery/settings", "", 200, `"network_discovery":"disabled"`},
		{"POST maas/?op=set_config", "name=tls_port&value=1", 501, ""},
		{"POST maas/?op=set_config", "name=enable_http_proxy&value=false", 200, ""},
		{"GET maas/?op=get_config&name=enable_http_proxy", "", 200, "false"},
	})
}

// Keys are made for users by name, and hooks and further endpoints see what they are meant to.
func TestKeysAndHooks(t *testing.T) {
	s := newSite(t)
	var begun, ended []string
	s.serve(t, maasapi.Config{
		More: map[string]maasapi.Endpoint{"GET /api/v1/answer": func(r *http.Request) (any, error) {
			if r.URL.Query().Get("of") == "" {
				return nil, maasapi.BadField("of", "is needed")
			}
			return 42, nil
		}},
		Begin: func(r *http.Request, route, user string) (context.Context, func(int)) {
			begun = append(begun, route+" by "+user)
			return r.Context(), func(code int) { ended = append(ended, http.StatusText(code)) }
		},
		Observe: func(route string, code int, _ time.Duration) { ended = append(ended, route+" "+http.StatusText(code)) },
	})
	s.visits(t, []visit{
		{"GET /api/v1/answer", "", 400, `{"of":["is needed"]}`},
		{"GET /api/v1/answer?of=all", "", 200, "42"},
		{"GET version/", "", 200, `"version":"3.8.0"`},
		{"POST /api/v1/keys", "username=admin", 200, `{"key":"`},
		{"POST /api/v1/keys", "", 400, `"username"`},
		{"POST /api/v1/keys", "username=eve", 404, ""},
	})
	if want := []string{"GET /api/v1/answer by admin", "GET /api/v1/answer by admin", "GET /MAAS/api/2.0/version/{$} by "}; !slices.Equal(begun[:3], want) {
		t.Errorf("begun %q, want %q", begun[:3], want)
	}
	if want := []string{"Bad Request", "GET /api/v1/answer Bad Request", "OK", "GET /api/v1/answer OK"}; !slices.Equal(ended[:4], want) {
		t.Errorf("ended %q, want %q", ended[:4], want)
	}
}

package maasapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

func multipartOf(t *testing.T, fields ...string) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// What clients of MAAS send is read, in whichever of the encodings, and what cannot be read is refused, not overlooked.
func TestFormEncodings(t *testing.T) {
	s := newSite(t)
	parts, kind := multipartOf(t, "cidr", "10.1.0.0/24", "name", "by parts", "dns_servers", "10.1.0.1", "dns_servers", "10.1.0.2")
	for _, c := range []struct {
		method, path, kind, body string
		code                     int
		want                     string
	}{
		{"POST", "subnets/", kind, parts, 200, `"dns_servers":["10.1.0.1","10.1.0.2"]`},
		{"POST", "subnets/", "application/json; charset=utf-8", `{"cidr": "10.2.0.0/24", "rdns_mode": 1, "managed": false, "dns_servers": ["10.2.0.1", "10.2.0.2"]}`, 200, `"managed":false`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"name": "by JSON", "gateway_ip": null}`, 200, `"dns_servers":["10.2.0.1","10.2.0.2"]`},
		{"PUT", "subnets/10.2.0.0%2F24", "application/json", `{"name": "no slash"}`, http.StatusTemporaryRedirect, ""},
		{"POST", "machines/", "application/json", `{"mac_addresses": ["02:00:00:00:00:21", "02:00:00:00:00:22"], "hostname": "json", "power_type": "ipmi", "power_parameters": {"power_address": "192.0.2.9"}}`, 200, `"power_type":"ipmi"`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `["name"]`, 400, `"__all__":["the form cannot be read: json`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"name": "a"} {"name": "b"}`, 400, "after top-level value"},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"name": "a"}} {"name": "b"}`, 400, "after top-level value"},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"name": "a"}]`, 400, "after top-level value"},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", "{\"description\": \"a\xff\"}", 400, "is no text"},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"managed": true}`, 200, `"managed":true`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"managed": null, "dns_servers": null}`, 200, `"managed":true`},
		{"GET", "subnets/10.2.0.0%2F24/", "", "", 200, `"dns_servers":["10.2.0.1","10.2.0.2"]`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"dns_servers": []}`, 200, `"dns_servers":[]`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `null`, 200, `"name":"by JSON"`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"name": `, 400, "__all__"},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", ``, 200, `"name":"by JSON"`},
		{"PUT", "subnets/10.2.0.0%2F24/", "text/plain", `name=text`, http.StatusUnsupportedMediaType, `"text/plain" is not read; send`},
		{"PUT", "subnets/10.2.0.0%2F24/", "text/plain", ``, 200, `"name":"by JSON"`},
		{"PUT", "subnets/10.2.0.0%2F24/", "", `name=none`, http.StatusUnsupportedMediaType, `type "" is not read`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/x-www-form-urlencoded", "name=" + strings.Repeat("x", 2<<20), http.StatusRequestEntityTooLarge, "too large"},
		{"GET", "subnets/", "", "", 200, `"name":"by parts"`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/x-www-form-urlencoded", "description=%00", 400, `{"description":["is no text`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/json", `{"description": "a\u0000b"}`, 400, `{"description":["is no text`},
		{"PUT", "subnets/10.2.0.0%2F24/", "application/x-www-form-urlencoded", "description=%ff", 400, `{"description":["is no text`},
		{"GET", "subnets/%00/", "", "", 400, "is no text"},
		{"GET", "machines/?hostname=%ff", "", "", 400, "is no text"},
		{"GET", "machines/?%00=x", "", "", 400, "is no text"},
		{"GET", "machines/?hostname=%00&x=%zz", "", "", 400, "cannot be read"},
		{"GET", "machines/?hostname=a;b", "", "", 400, "cannot be read"},
		{"POST", "ipaddresses/?op=reserve", "application/x-www-form-urlencoded", "ip=203.0.113.9", 400, "203.0.113.9 is in no subnet"},
		{"GET", "nothing/", "", "", 501, "/nothing/ is not supported"},
		{"PATCH", "subnets/10.2.0.0%2F24/", "application/json", "{}", 501, "PATCH"},
	} {
		w := s.call(c.method, base+c.path, c.body, "Content-Type", c.kind)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s %s: %d %.300s, want %d with %s", c.method, c.path, c.kind, w.Code, w.Body, c.code, c.want)
		}
	}
	if w := s.call("PUT", base+"subnets/10.2.0.0%2F24/", "name=packed", "Content-Encoding", "gzip"); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("a packed body: %d %s", w.Code, w.Body)
	}
	for _, doc := range []string{"zones: [{name: a, description: \"x\\0\"}]", "zones: [{name: \"a\xff\"}]"} {
		if w := s.call("POST", "/api/v1/apply", doc, "Content-Type", "application/yaml"); w.Code != 400 || !strings.Contains(w.Body.String(), `"document"`) {
			t.Errorf("apply %q: %d %s", doc, w.Code, w.Body)
		}
	}
	if w := s.call("POST", "/api/v1/discovery/settings", `{"active": [], "passive": []}`, "Content-Type", "application/json"); w.Code != 200 {
		t.Errorf("no subnets for discovery: %d %s", w.Code, w.Body)
	}
	off, kind := multipartOf(t, "stop_mode", "soft")
	if w := s.call("POST", base+"machines/json/?op=power_off", off, "Content-Type", kind); w.Code != 200 || s.power.asked[len(s.power.asked)-1] != "json soft-off" {
		t.Errorf("parts with power_off: %d, did %q", w.Code, s.power.asked)
	}
}

// A VLAN is found as FABRIC/TAG and FABRIC/NAME, and as whatever else it was found before those were.
func TestVLANReferences(t *testing.T) {
	s := newSite(t)
	for _, c := range [][2]string{
		{"fabrics/", "name=leaf"}, {"fabrics/", "name=row/1"},
		{"fabrics/2/vlans/", "vid=20&name=storage"}, {"fabrics/2/vlans/", "vid=21&name=0755"}, {"fabrics/2/vlans/", "vid=22&name=a/b"},
		{"fabrics/2/vlans/", "vid=23&name=4095"}, {"fabrics/2/vlans/", "vid=493&name=other"}, {"subnets/", "cidr=10.2.0.0/24&vlan=leaf/20"},
	} {
		if w := s.call("POST", base+c[0], c[1]); w.Code != 200 {
			t.Fatalf("%s %s: %d %s", c[0], c[1], w.Code, w.Body)
		}
	}
	for i, c := range []struct{ vlan, want string }{
		{"leaf/20", `"vid":20`}, {"leaf/storage", `"vid":20`}, {"leaf/untagged", `"id":2,"vid":0`}, {"leaf/0755", `"vid":21`},
		{"leaf/4095", `"vid":23`}, {"a/b", `"vid":22`}, {"name:a/b", `"vid":22`}, {"leaf/a/b", `there is no vlan`}, {"row/1/0", `"fabric":"row/1"`},
		{"fabric:row/1,&vid:0", `"fabric":"row/1"`}, {"subnet:10.2.0.0/24", `"vid":20`}, {"leaf/24", "there is no vlan"}, {"/20", "there is no vlan"},
	} {
		form := url.Values{"cidr": {fmt.Sprintf("10.3.%d.0/24", i)}, "vlan": {c.vlan}}
		if w := s.call("POST", base+"subnets/", form.Encode()); !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("vlan=%s: %d %s, want %s", c.vlan, w.Code, w.Body, c.want)
		}
	}
}

// Refusals of addresses tell the field that they are about.
func TestRefusalsNameTheField(t *testing.T) {
	s := newSite(t)
	s.call("POST", base+"fabrics/", "name=leaf")
	s.call("POST", base+"fabrics/2/vlans/", "vid=20&name=storage")
	for _, c := range []struct{ path, body, field, why string }{
		{"subnets/", "cidr=10.5.0.0/24&vlan=leaf/20", "", ""},
		{"subnets/", "cidr=10.6.0.0/24&vlan=leaf/storage", "", ""},
		{"subnets/", "cidr=10.7.0.0/24&vlan=leaf/21", "vlan", `there is no vlan "leaf/21"`},
		{"subnets/", "cidr=10.5.0.0/25", "cidr", "subnet 10.5.0.0/25: overlaps"},
		{"subnets/", "cidr=10.8.0.0/24&gateway_ip=10.9.0.1", "gateway_ip", "gateway 10.9.0.1: is not in"},
		{"ipranges/", "type=dynamic&start_ip=10.5.0.10&end_ip=10.5.0.20", "", ""},
		{"ipranges/", "type=dynamic&start_ip=10.5.0.15&end_ip=10.5.0.30", "start_ip", "overlaps"},
		{"ipranges/", "type=reserved&start_ip=10.5.0.50&end_ip=10.6.0.30", "end_ip", "is not in subnet"},
		{"reservedips/", "ip=10.5.0.15&mac_address=02:00:00:00:00:31", "ip", "dynamic range"},
		{"machines/", "hostname=m1&mac_addresses=02:00:00:00:00:31", "", ""},
		{"machines/", "hostname=m2&mac_addresses=02:00:00:00:00:31", "__all__", "already an interface with MAC 02:00:00:00:00:31 (of m1)"},
		{"nodes/m1/interfaces/?op=create_vlan", "parent=eth0&vlan=leaf/20", "", ""},
		{"nodes/m1/interfaces/?op=create_bridge", "name=br0&parents=eth7", "parents", `no interface "eth7"`},
	} {
		w := s.call("POST", base+c.path, c.body)
		code, body := w.Code, w.Body.String()
		if c.field == "" {
			if code != 200 {
				t.Errorf("%s: %d %s", c.body, code, body)
			}
			continue
		}
		var fields map[string][]string
		if err := json.Unmarshal([]byte(body), &fields); code != 400 || err != nil || len(fields[c.field]) != 1 || !strings.Contains(fields[c.field][0], c.why) {
			t.Errorf("%s: %d %s, want %s: %s", c.body, code, body, c.field, c.why)
		}
	}
	code, body := s.do("GET", base+"nodes/m1/interfaces/", nil)
	var got []maasapi.Interface
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || len(got) != 2 || !got[0].Enabled || got[1].Name != "eth0.20" {
		t.Errorf("the interfaces are %s", body)
	}
}

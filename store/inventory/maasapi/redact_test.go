package maasapi_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory/setting"
)

// Whatever setting and whatever parameter of power has a URL with a password or a key, no user but an
// administrator reads it, in no answer.
func TestSecretsInURLsAreForAdministrators(t *testing.T) {
	const secret, key = "s3cr3t-of-the-proxy", "k3y-of-the-hook"
	hidden := "http://site:" + secret + "@p.example:3128/on?key=" + key
	s := newSite(t)
	// Each setting takes one of these forms, or none with a URL.
	taken := 0
	for _, name := range setting.Exported() {
		for _, value := range []string{hidden, "http://site:" + secret + "@p.example:3128", ".a.example=http://site:" + secret + "@p.example:3128", "/a/=" + hidden, "/a/=http://site:" + secret + "@p.example/", "a=" + hidden} {
			if code, _ := s.do("POST", base+"maas/?op=set_config", url.Values{"name": {name}, "value": {value}}); code == 200 {
				taken++
				break
			}
		}
	}
	if taken < 3 {
		t.Errorf("%d settings with URLs", taken)
	}
	taken = 0
	for _, kind := range s.power.Kinds() {
		form := url.Values{"hostname": {"m-" + kind.Name}, "architecture": {"amd64"}, "mac_addresses": {"02:00:00:00:01:" + string("0123456789abcdef"[taken]) + "0"}, "power_type": {kind.Name}}
		for _, p := range kind.Params {
			switch {
			case p.Choices != nil:
			case p.Secret:
				form.Set("power_parameters_"+p.Name, secret)
			case p.Required || strings.HasSuffix(p.Name, "address"):
				form.Set("power_parameters_"+p.Name, hidden)
			}
		}
		code, body := s.do("POST", base+"machines/", form)
		if code == 200 {
			taken++
		} else if kind.Name == "webhook" {
			t.Errorf("%s: %d %s", kind.Name, code, body)
		}
	}
	if w := s.call("POST", "/api/v1/apply", "boot_profiles: [{profile: {name: site, kernel: 'http://u:"+secret+"@files.example/vmlinuz', cmdline: 'ds=nocloud;s=http://u:"+secret+"@seed.example/'}}]", "Content-Type", "application/yaml"); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	admin := func(method, path string, form url.Values) (int, string) { return s.do(method, path, form) }
	for role, do := range map[string]func(string, string, url.Values) (int, string){
		"admin": admin, "operator": s.user(t, "olga", "operator"), "read-only": s.user(t, "rita", "read-only"),
	} {
		var all strings.Builder
		paths := []string{base + "maas/?op=get_config", "/api/v1/export", "/api/v1/export?format=json"}
		for _, name := range setting.Exported() {
			paths = append(paths, base+"maas/?op=get_config&name="+name)
		}
		for _, kind := range s.power.Kinds() {
			paths = append(paths, base+"machines/m-"+kind.Name+"/", base+"machines/m-"+kind.Name+"/?op=power_parameters")
		}
		for _, x := range s.api.Routes() {
			if x.Method == "GET" && !strings.Contains(x.Path, "stream") {
				paths = append(paths, x.Path)
			}
		}
		for _, path := range paths {
			_, body := do("GET", path, nil)
			all.WriteString(path + " " + body + "\n")
			if role != "admin" && (strings.Contains(body, secret) || strings.Contains(body, key)) {
				t.Errorf("%s reads a secret of %s: %s", role, path, body)
			}
		}
		if role == "admin" && (!strings.Contains(all.String(), secret) || !strings.Contains(all.String(), key)) {
			t.Error("administrators do not see what is configured")
		}
		if role != "admin" && !strings.Contains(all.String(), "***@p.example") {
			t.Errorf("%s does not see that there is a proxy", role)
		}
	}
}

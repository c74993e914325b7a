package address_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
)

const param = "power_address"

// All ways to write an address mean the same, to those who dial and to those who make a URL.
func TestForms(t *testing.T) {
	for text, want := range map[string][2]string{ // what is dialed with the default port 7, and the URL
		"192.0.2.9":                    {"192.0.2.9:7", "https://192.0.2.9"},
		" 192.0.2.9/ ":                 {"192.0.2.9:7", "https://192.0.2.9"},
		"192.0.2.9:0443//":             {"192.0.2.9:443", "https://192.0.2.9:443"},
		"HTTP://bmc-1.example.com.:80": {"bmc-1.example.com.:80", "http://bmc-1.example.com.:80"},
		"https://192.0.2.9/":           {"192.0.2.9:7", "https://192.0.2.9"},
		"::1":                          {"[::1]:7", "https://[::1]"},
		"[::1]":                        {"[::1]:7", "https://[::1]"},
		"[::1]/":                       {"[::1]:7", "https://[::1]"},
		"[2001:db8::9]:8443":           {"[2001:db8::9]:8443", "https://[2001:db8::9]:8443"},
		"https://2001:db8::9/x/":       {"[2001:db8::9]:7", "https://[2001:db8::9]/x"},
		"fe80::1%eth0":                 {"[fe80::1%eth0]:7", "https://[fe80::1%25eth0]"},
		"[fe80::1%eth0]:443":           {"[fe80::1%eth0]:443", "https://[fe80::1%25eth0]:443"},
		"https://[fe80::1%25eth0]/":    {"[fe80::1%eth0]:7", "https://[fe80::1%25eth0]"},
		"fe80::1%25":                   {"[fe80::1%25]:7", "https://[fe80::1%2525]"}, // interface 25
		"::ffff:192.0.2.9":             {"[::ffff:192.0.2.9]:7", "https://[::ffff:192.0.2.9]"},
		"bmc_7":                        {"bmc_7:7", "https://bmc_7"},
		"bmc:8443/redfish/v1/":         {"bmc:8443", "https://bmc:8443/redfish/v1"},
	} {
		a, err := address.ParseHTTP(param, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := [2]string{a.HostPort("7"), a.URL()}; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if u, err := url.Parse(a.URL()); err != nil || u.Hostname() != a.Host {
			t.Errorf("%q: %s is no URL of its host: %v", text, a.URL(), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for text, reason := range map[string]string{
		"":                    "names no host",
		"   ":                 "names no host",
		"https://":            "names no host",
		":623":                "names no host",
		"[]:623":              "no IPv6 address in the brackets",
		"[192.0.2.9]":         "no IPv6 address in the brackets",
		"[bmc]:80":            "no IPv6 address in the brackets",
		"[::1":                "not closed",
		"[::1]623":            "only :port may follow",
		"[::1]:":              "usable port",
		"192.0.2.9:":          "usable port",
		"192.0.2.9:0":         "usable port",
		"192.0.2.9:65536":     "usable port",
		"192.0.2.9:https":     "usable port",
		"192.0.2.9:-1":        "usable port",
		"1:2:3":               "too many colons",
		"2001:db8::9::1":      "too many colons",
		"bmc:1:2":             "too many colons",
		"192.0.2":             "complete IPv4",
		"192.0.2.256":         "complete IPv4",
		"010.0.0.1":           "complete IPv4",
		"3221225993":          "complete IPv4",
		"0.0.0.0":             "no host's address",
		"::":                  "no host's address",
		"admin@192.0.2.9":     "holds a user",
		"https://a:b@bmc/":    "holds a user",
		"https://bmc/#/login": "fragment",
		"bmc?x=1":             "query",
		"b mc":                "character ' '",
		"bmc,bmc2":            "character ','",
		"fe80::1%a b":         "zone has the character",
		"bmc\\x":              "character '\\\\'",
		"bmc\x00":             "character '\\x00'",
		"bmc..example":        "1 to 63",
		"://bmc":              "no scheme",
		"bmc/%zz":             "path",
		"ftp://bmc":           "neither https nor http",
		"ipmi://192.0.2.9":    "neither https nor http",
	} {
		_, err := address.ParseHTTP(param, text)
		if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), param) {
			t.Errorf("%q: %v, want %q", text, err, reason)
		}
	}
	for text, reason := range map[string]string{"https://192.0.2.9": "it is a URL", "192.0.2.9/ipmi": "path has no meaning"} {
		if _, err := address.ParseHost(param, text); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q as a host: %v, want %q", text, err, reason)
		}
	}
}

// Requests to one BMC wait for each other, however its address is written.
func TestIdentity(t *testing.T) {
	for want, texts := range map[string][]string{
		"192.0.2.9:443":     {"192.0.2.9", "https://192.0.2.9", "192.0.2.9:443/", " https://192.0.2.9:443"},
		"[2001:db8::9]:443": {"2001:db8::9", "[2001:DB8::9]", "https://[2001:db8::9]:443/"},
		"bmc.example:80":    {"http://BMC.example", "http://bmc.example:80/"},
		"not an address":    {"not an address"},
	} {
		for _, text := range texts {
			if got := address.Identity(text, "443"); got != want {
				t.Errorf("%q: %q, want %q", text, got, want)
			}
		}
	}
}

// No text makes the parser fail otherwise than with a reason, and what it takes it takes again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"192.0.2.9", "[fe80::1%25eth0]:443/x", "https://bmc/", "::1", "a:b@c", "%", "[%25]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := address.ParseHTTP(param, text)
		if err != nil {
			return
		}
		again, err := address.ParseHTTP(param, a.URL())
		if err != nil || again != a {
			t.Errorf("%q: %+v, and its URL %q is read as %+v, %v", text, a, a.URL(), again, err)
		}
	})
}

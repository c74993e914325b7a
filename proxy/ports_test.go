package proxy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gomaas/maas/proxy"
)

func TestParsePorts(t *testing.T) {
	for text, want := range map[string]proxy.Ports{"80": proxy.Port(80), "8000-8999": {First: 8000, Last: 8999}, "1-65535": {First: 1, Last: 65535}, "443-443": proxy.Port(443)} {
		got, err := proxy.ParsePorts(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "is not a port", "0": "0 is not a port", "65536": "is not a port", "-1": "is not a port", "80-": "is not a port", "0-80": "0-80 is not a port",
		"90-80": "90-80 begins above its end", "80-90-100": "is not a port", "http": "is not a port", "80;443": "is not a port", " 80": "is not a port", "+80": "is not a port",
	} {
		if _, err := proxy.ParsePorts(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	text, err := json.Marshal([]proxy.Ports{{First: 8000, Last: 8999}, proxy.Port(80)})
	if err != nil || string(text) != `["8000-8999","80"]` {
		t.Errorf("%s, %v", text, err)
	}
}

// Of a range, both ends may be reached, and the neighbors may not.
func TestPolicyOfPortRanges(t *testing.T) {
	policy := proxy.Policy{Ports: []proxy.Ports{proxy.Port(80), {First: 8000, Last: 8999}}, TunnelPorts: []proxy.Ports{{First: 8443, Last: 8444}}}
	for port, want := range map[uint16][2]bool{80: {true, false}, 81: {}, 443: {}, 7999: {}, 8000: {true, false}, 8444: {true, true}, 8999: {true, false}, 9000: {}} {
		if got := [2]bool{policy.AllowsPort(port, false), policy.AllowsPort(port, true)}; got != want {
			t.Errorf("%d: %v, want %v", port, got, want)
		}
	}
}

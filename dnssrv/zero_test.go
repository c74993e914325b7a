package dnssrv_test

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// Nil and zero values have a default or are refused; none panics.
func TestZeroValuesDoNotPanic(t *testing.T) {
	s := dnssrv.New(dnssrv.Config{})
	if m := s.HandleMsg(t.Context(), nil, netip.Addr{}); m != nil {
		t.Errorf("no question is answered: %v", m)
	}
	if m := s.HandleMsg(t.Context(), new(dns.Msg), netip.Addr{}); m == nil || m.Rcode != dns.RcodeFormatError {
		t.Errorf("an empty question: %v", m)
	}
	for name, err := range map[string]error{
		"change": s.Update(dnssrv.Change{}), "forwarding": s.SetForwarding(dnssrv.Forwarding{}), "access": s.SetAccess(dnssrv.Access{}),
	} {
		if err != nil {
			t.Errorf("zero %s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"zone":        s.Update(dnssrv.Change{Zones: make([]dnssrv.Zone, 1)}),
		"set":         s.Update(dnssrv.Change{Set: make([]dnssrv.RRset, 1)}),
		"removal":     s.Update(dnssrv.Change{RemoveZones: []string{""}}),
		"range":       s.Update(dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas", Ranges: make([]dnssrv.Range, 1)}}}),
		"signing key": s.Update(dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas", SigningKey: "x"}}}),
		"server":      s.SetForwarding(dnssrv.Forwarding{Servers: make([]netip.AddrPort, 1)}),
		"domain":      s.SetForwarding(dnssrv.Forwarding{Domains: make([]dnssrv.DomainForwarding, 1)}),
		"key":         s.SetAccess(dnssrv.Access{Keys: make([]dnssrv.Key, 1)}),
		"network":     s.SetAccess(dnssrv.Access{Transfer: make([]netip.Prefix, 1)}),
		"rule":        s.SetAccess(dnssrv.Access{Update: make([]dnssrv.UpdateRule, 1)}),
		"zone file":   s.WriteZone(new(bytes.Buffer), ""),
	} {
		if err == nil {
			t.Errorf("%s: a zero value was taken", name)
		}
	}
	if _, err := (dnssrv.RRset{}).Normal(); err == nil {
		t.Error("a zero set is normal")
	}
	if _, err := dnssrv.SigningKey("").DS("maas"); err == nil {
		t.Error("a zero key has a DS")
	}
	if zone, names := dnssrv.UpdatedNames(nil); zone != "" || names != nil {
		t.Errorf("an empty update changes %v of %q", names, zone)
	}
	if _, rcode := s.Preview("", nil); rcode != dns.RcodeFormatError {
		t.Errorf("preview of nothing: %d", rcode)
	}
	if dnssrv.PTRName(netip.Addr{}) != "" || dnssrv.ReverseZones(netip.Prefix{}) != nil {
		t.Error("no address has a name")
	}
	if _, ok := dnssrv.PTRAddr(""); ok {
		t.Error("an empty name has an address")
	}
	if _, ok := s.Serial(""); ok {
		t.Error("an empty name is a zone")
	}
	if _, err := dnssrv.OpenSerials(filepath.Join(t.TempDir(), "none", "serials")); err == nil {
		t.Error("a folder that does not exist was opened")
	}
	if len(s.Stats().Upstreams) != 0 {
		t.Error("an upstream of nobody")
	}
}

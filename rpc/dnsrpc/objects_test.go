package dnsrpc_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
)

// An object that cannot be served is named, and leaves what was served before.
func TestRefusedObjectsChangeNothing(t *testing.T) {
	good := map[string][]byte{"zone/maas": []byte(`{"name":"maas"}`), "set/a.maas/A": []byte(`{"name":"a.maas","type":"A","data":["192.0.2.1"]}`)}
	for name, tt := range map[string]struct{ key, value, want string }{
		"no JSON":               {"set/b.maas/A", `{`, "set/b.maas/A"},
		"another name":          {"set/b.maas/A", `{"name":"c.maas","type":"A","data":["192.0.2.1"]}`, "holds set/c.maas/A"},
		"another type":          {"set/b.maas/A", `{"name":"b.maas","type":"AAAA","data":["2001:db8::1"]}`, "holds set/b.maas/AAAA"},
		"learned under another": {"set/b.maas/A", `{"name":"b.maas","type":"A","learned":true,"data":["192.0.2.1"]}`, "holds "},
		"another zone":          {"zone/lab", `{"name":"maas"}`, "holds zone/maas"},
		"forwarding":            {"forwarding", `{"servers":["here"]}`, "forwarding"},
		"access":                {"access", `[`, "access"},
	} {
		t.Run(name, func(t *testing.T) {
			server := dnssrv.New(dnssrv.Config{})
			f := dnsrpc.Follow(server)
			if err := f.Apply(t.Context(), good); err != nil {
				t.Fatal(err)
			}
			whole := map[string][]byte{tt.key: []byte(tt.value)}
			for key, value := range good {
				whole[key] = value
			}
			for way, err := range map[string]error{
				"Apply":  f.Apply(t.Context(), whole),
				"Change": f.Change(t.Context(), []rpc.Object{{Key: tt.key, Value: []byte(tt.value)}}),
			} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "dnsrpc: "+tt.key) {
					t.Errorf("%s: %v, want %q and the key", way, err, tt.want)
				}
			}
			q := new(dns.Msg)
			q.SetQuestion("a.maas.", dns.TypeA)
			if m := handled(t.Context(), server, q, netip.MustParseAddr("192.0.2.1")); len(m.Answer) != 1 {
				t.Errorf("what was served is gone: %v", m)
			}
		})
	}
}

func TestNames(t *testing.T) {
	names, zones := dnsrpc.Names([]rpc.Object{
		{Key: "set/a.maas/A"}, {Key: "learned/b.maas/AAAA", Deleted: true}, {Key: "forwarding"},
	})
	if !slices.Equal(names, []string{"a.maas", "b.maas"}) || zones {
		t.Errorf("%v, zones %t", names, zones)
	}
	if names, zones := dnsrpc.Names([]rpc.Object{{Key: "zone/maas"}}); names != nil || !zones {
		t.Errorf("%v, zones %t", names, zones)
	}
}

// The key of a set does not depend on the spelling of its name, so that a removal finds it.
func TestKeysAreFolded(t *testing.T) {
	upserts, deletes, err := dnsrpc.SetObjects([]dnssrv.RRset{
		{Name: "A.MAAS.", Type: "a", Data: []string{"192.0.2.1"}}, {Name: "B.maas", Type: "AAAA"},
	})
	if err != nil || len(upserts) != 1 || upserts["set/a.maas/A"] == nil || !slices.Equal(deletes, []string{"set/b.maas/AAAA"}) {
		t.Errorf("%v, %v, %v", upserts, deletes, err)
	}
}

package inventory_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/schema"
	"github.com/gomaas/maas/store/inventory/setting"
)

func TestTSIGKeys(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	k := must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "Xfer."}))
	if k.Name != "xfer" || k.Algorithm != "hmac-sha256" || len(k.Secret) != 44 {
		t.Errorf("made %+v of %d", k, len(k.Secret))
	}
	for want, bad := range map[string]inventory.TSIGKey{
		"already":         {Name: "xfer"},
		"not be an addre": {Name: "192.0.2.1"},
		"like that of":    {Name: "a..b"},
		"16 octets":       {Name: "short", Secret: "c2hvcnQ="},
		"none of hmac":    {Name: "md5", Algorithm: "hmac-md5"},
	} {
		_, err := inv.TSIGKeys.Create(ctx, bad)
		refused(t, err, want)
	}
	d := must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{
		Name: "lab.example", AllowTransfer: []string{"192.0.2.7", "XFER."}, Notify: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:53")},
		AllowUpdate: []inventory.UpdateGrant{{Key: "xfer", Name: "_acme-challenge.www", Types: []string{"TXT"}}},
	}))
	d = must[inventory.Domain](t)(inv.Domains.Get(ctx, d.ID))
	if diff := cmp.Diff([]string{"xfer", "192.0.2.7/32"}, d.AllowTransfer); diff != "" {
		t.Error(diff)
	}
	refused(t, inv.TSIGKeys.Delete(ctx, k.ID), "in the way are domain lab.example")
	ok(t, inv.Settings.Set(ctx, setting.DNSTransfer, "10.0.0.0/8 xfer"))
	refused(t, inv.Settings.Set(ctx, setting.DNSTransfer, "other"), "neither a network nor a TSIG key")
	m := must[*inventory.Model](t)(inv.Model(ctx))
	keys := must[[]dnssrv.Key](t)(inv.DNSKeys(m))
	if len(keys) != 1 || keys[0].Secret != k.Secret {
		t.Error("the secret is not read back")
	}
	want := dnssrv.Access{
		Transfer: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, TransferKeys: []string{"xfer"},
		Zones: []dnssrv.ZoneAccess{{
			Zone: "lab.example", Transfer: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}, TransferKeys: []string{"xfer"}, Notify: d.Notify,
		}},
		Update: []dnssrv.UpdateRule{{Key: "xfer", Zone: "lab.example", Below: "_acme-challenge.www.lab.example", Types: []string{"TXT"}}},
	}
	if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(plan.DNS(m).Access)); diff != "" {
		t.Error(diff)
	}
	ok(t, inv.Settings.Set(ctx, setting.DNSTransfer, ""))
	d.AllowTransfer, d.AllowUpdate = nil, nil
	ok(t, errOf(inv.Domains.Update(ctx, d)))
	ok(t, inv.TSIGKeys.Delete(ctx, k.ID))
	if _, err := inv.TSIGKeys.Get(ctx, k.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for want, bad := range map[string]inventory.Domain{
		"neither a network nor": {AllowTransfer: []string{"nobody"}},
		"address and port":      {Notify: []netip.AddrPort{{}}},
		`names "k"`:             {AllowUpdate: []inventory.UpdateGrant{{Key: "k", Name: "@"}}},
		"authoritative":         {External: true, AllowTransfer: []string{"192.0.2.0/24"}},
	} {
		bad.Name = "bad.example"
		_, err := inv.Domains.Create(ctx, bad)
		refused(t, err, want)
	}
}

// The secrets of keys are sealed in the database.
func TestTSIGSecretsAreSealed(t *testing.T) {
	url, ctx := "sqlite://"+filepath.Join(t.TempDir(), "maas.db"), t.Context()
	db := must[*store.DB](t)(store.Open(ctx, url, schema.FS))
	defer db.Close()
	inv := must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{Key: []byte(strings.Repeat("k", 32))}))
	k := must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "xfer"}))
	if text := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(text, string([]byte(k.Secret))) {
		t.Errorf("the secret shows: %s", text)
	}
	unsealed := must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{}))
	_, err := unsealed.DNSKeys(must[*inventory.Model](t)(unsealed.Model(ctx)))
	refused(t, err, "TSIG key xfer: inventory: the stored secrets are sealed, and there is no key")
}

func TestUpdateGrantText(t *testing.T) {
	for text, want := range map[string]string{
		"k": "k", "K.:": "k", "k:@": "k", "k:www": "k:www", "k:WWW.:a+txt": "k:www:A+TXT", "k::A": "k:@:A",
	} {
		var g inventory.UpdateGrant
		ok(t, g.UnmarshalText([]byte(text)))
		if g.String() != want {
			t.Errorf("%s is %s, want %s", text, g, want)
		}
	}
}

func TestDynamicUpdate(t *testing.T) { onEngines(t, testDynamicUpdate) }

func testDynamicUpdate(t *testing.T, inv *inventory.Inventory) {
	ctx := t.Context()
	must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "k"}))
	must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "acme"}))
	d := must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "lab.example", AllowUpdate: []inventory.UpdateGrant{
		{Key: "k", Name: "@"}, {Key: "acme", Name: "_acme-challenge", Types: []string{"TXT"}},
	}}))
	must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "sub.lab.example"}))
	ok(t, inv.Settings.Set(ctx, setting.InternalDomain, "int.lab.example"))
	must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", DomainID: d.ID}))
	must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: d.ID, Name: "www", Type: "CNAME", Data: "web"}))
	must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: d.ID, Name: "web", Type: "A", TTL: 60, Data: "192.0.2.1"}))
	for _, data := range []string{"10 web", "010 web", "10 web.lab.example."} {
		must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: d.ID, Name: "two", Type: "MX", Data: data}))
	}
	rr := func(text string) []dns.RR { return []dns.RR{must[dns.RR](t)(dns.NewRR(text))} }
	long := rr("a.lab.example. A 192.0.2.10")
	long[0].Header().Ttl = 1 << 31
	for _, c := range []struct {
		name, zone, key string
		build           func(*dns.Msg)
		rcode           int
		want            string // records after it
	}{
		{"add", "lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("a.lab.example. 60 A 192.0.2.9")) }, dns.RcodeSuccess, "a A 60 192.0.2.9"},
		{"again", "lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("A.LAB.example. 60 A 192.0.2.9")) }, dns.RcodeSuccess, "a A 60 192.0.2.9"},
		{"one TTL for all", "lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("a.lab.example. 90 A 192.0.2.10")) }, dns.RcodeSuccess, "a A 90 192.0.2.10, a A 90 192.0.2.9"},
		{"a TTL above the limit", "lab.example.", "k", func(m *dns.Msg) { m.Insert(long) }, dns.RcodeSuccess, "a A 0 192.0.2.10, a A 0 192.0.2.9"},
		{"and back", "lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("a.lab.example. 90 A 192.0.2.10")) }, dns.RcodeSuccess, "a A 90 192.0.2.10, a A 90 192.0.2.9"},
		{"must not exist", "lab.example.", "k", func(m *dns.Msg) {
			m.NameNotUsed(rr("a.lab.example. A 192.0.2.1"))
			m.Insert(rr("a.lab.example. 60 TXT no"))
		}, dns.RcodeYXDomain, "a A 90 192.0.2.10, a A 90 192.0.2.9"},
		{"remove one", "lab.example.", "k", func(m *dns.Msg) { m.Remove(rr("a.lab.example. A 192.0.2.9")) }, dns.RcodeSuccess, "a A 90 192.0.2.10"},
		{"remove name", "lab.example.", "k", func(m *dns.Msg) { m.RemoveName(rr("a.lab.example. A 192.0.2.9")) }, dns.RcodeSuccess, ""},
		{"replace a CNAME", "lab.example.", "k", func(m *dns.Msg) {
			m.RemoveRRset(rr("www.lab.example. CNAME x."))
			m.Insert(rr("www.lab.example. 5 A 192.0.2.3"))
		}, dns.RcodeSuccess, "www A 5 192.0.2.3"},
		{"written in two ways", "lab.example.", "k", func(m *dns.Msg) { m.RemoveRRset(rr("two.lab.example. MX 1 x.")) }, dns.RcodeSuccess, ""},
		{"DHCID", "lab.example.", "k", func(m *dns.Msg) {
			m.Insert(rr("dh.lab.example. 60 DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="))
		}, dns.RcodeSuccess, "dh DHCID 60 AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="},
		{"another name", "lab.example.", "acme", func(m *dns.Msg) { m.Insert(rr("b.lab.example. 60 TXT b")) }, dns.RcodeRefused, ""},
		{"its name", "lab.example.", "acme", func(m *dns.Msg) { m.Insert(rr("_acme-challenge.lab.example. 60 TXT b")) }, dns.RcodeSuccess, `_acme-challenge TXT 60 "b"`},
		{"no key", "lab.example.", "other", func(m *dns.Msg) { m.Insert(rr("b.lab.example. 60 TXT b")) }, dns.RcodeRefused, ""},
		{"another domain", "maas.", "k", func(m *dns.Msg) { m.Insert(rr("b.maas. 60 TXT b")) }, dns.RcodeRefused, ""},
		{"a domain below", "sub.lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("b.sub.lab.example. 60 TXT b")) }, dns.RcodeRefused, ""},
		{"a question about it", "sub.lab.example.", "k", func(m *dns.Msg) { m.NameUsed(rr("b.sub.lab.example. A 192.0.2.1")) }, dns.RcodeRefused, ""},
		{"a CNAME at the apex is ignored", "lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("lab.example. 60 CNAME web.lab.example.")) }, dns.RcodeSuccess, ""},
		{"no domain's zone", "int.lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("b.int.lab.example. 60 TXT b")) }, dns.RcodeRefused, ""},
		{"no zone", "example.", "k", func(m *dns.Msg) { m.Insert(rr("b.example. 60 TXT b")) }, dns.RcodeNotAuth, ""},
		{"out of zone", "lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("b.sub.lab.example. 60 TXT b")) }, dns.RcodeNotZone, ""},
		{"a type that is not kept", "lab.example.", "k", func(m *dns.Msg) { m.Insert(rr("b.lab.example. 60 LOC 1 N 1 E 1m")) }, dns.RcodeRefused, ""},
		{"half of it is refused", "lab.example.", "k", func(m *dns.Msg) {
			m.Insert(rr("c.lab.example. 60 TXT c"))
			m.Insert(rr("b.lab.example. 60 LOC 1 N 1 E 1m"))
		}, dns.RcodeRefused, ""},
	} {
		m := new(dns.Msg)
		m.SetUpdate(c.zone)
		c.build(m)
		wire := must[[]byte](t)(m.Pack())
		rcode, err := inv.DynamicUpdate(ctx, c.key+".", wire, plan.DNS)
		if rcode != c.rcode || rcode == dns.RcodeSuccess && err != nil {
			t.Errorf("%s: %s, %v, want %s", c.name, dns.RcodeToString[rcode], err, dns.RcodeToString[c.rcode])
		}
		name, _, _ := strings.Cut(strings.ToLower(append(m.Ns, m.Answer...)[0].Header().Name), ".")
		if name == "lab" {
			name = "@"
		}
		if got := recordsAt(t, inv, d.ID, name); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := recordsAt(t, inv, d.ID, "c"); got != "" {
		t.Errorf("half of an update was made: %s", got)
	}
	_, err := inv.Records.Create(ctx, inventory.DNSRecord{DomainID: d.ID, Name: "@", Type: "CNAME", Data: "web"})
	refused(t, err, "rrtype cannot be CNAME at the domain itself")
	for _, r := range must[[]inventory.DNSRecord](t)(inv.Records.List(ctx)) {
		if r.DomainID != d.ID {
			t.Errorf("%s was made in another domain", r.Name)
		}
	}
}

func recordsAt(t *testing.T, inv *inventory.Inventory, domain int64, name string) string {
	t.Helper()
	var out []string
	for _, r := range must[[]inventory.DNSRecord](t)(inv.Records.List(t.Context())) {
		if r.DomainID == domain && r.Name == name {
			out = append(out, fmt.Sprintf("%s %s %d %s", r.Name, r.Type, r.TTL, r.Data))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// Names of machines are the site's: seen by prerequisites, added to, and not taken away.
func TestDynamicUpdateBesideMachines(t *testing.T) {
	inv, ctx := sitetest.Site(t), t.Context()
	node := must[inventory.Machine](t)(inv.Machines.Find(ctx, "node1"))
	d := must[inventory.Domain](t)(inv.Domains.Get(ctx, node.DomainID))
	must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "k"}))
	d.AllowUpdate = []inventory.UpdateGrant{{Key: "k", Name: "@"}}
	ok(t, errOf(inv.Domains.Update(ctx, d)))
	for _, r := range must[[]inventory.DNSRecord](t)(inv.Records.List(ctx)) {
		if r.Name == "node1" {
			ok(t, inv.Records.Delete(ctx, r.ID))
		}
	}
	name := node.FQDN + ". "
	rr := func(text string) []dns.RR { return []dns.RR{must[dns.RR](t)(dns.NewRR(name + text))} }
	for _, c := range []struct {
		name  string
		build func(*dns.Msg)
		rcode int
		want  string
	}{
		{"taken", func(m *dns.Msg) { m.NameNotUsed(rr("A 192.0.2.1")); m.Insert(rr("60 TXT t")) }, dns.RcodeYXDomain, ""},
		{"beside", func(m *dns.Msg) { m.RRsetUsed(rr("A 192.0.2.1")); m.Insert(rr("60 TXT t")) }, dns.RcodeSuccess, `node1 TXT 60 "t"`},
		{"one more address", func(m *dns.Msg) { m.Insert(rr("60 A 192.0.2.1")) }, dns.RcodeSuccess, `node1 A 60 192.0.2.1, node1 TXT 60 "t"`},
		{"all addresses", func(m *dns.Msg) { m.RemoveRRset(rr("A 192.0.2.1")) }, dns.RcodeRefused, `node1 A 60 192.0.2.1, node1 TXT 60 "t"`},
		{"that address", func(m *dns.Msg) { m.Remove(rr("A 192.0.2.1")) }, dns.RcodeSuccess, `node1 TXT 60 "t"`},
		{"the machine's", func(m *dns.Msg) { m.Remove(rr("A 10.0.0.50")) }, dns.RcodeRefused, `node1 TXT 60 "t"`},
		{"a CNAME in its place is ignored", func(m *dns.Msg) { m.Insert(rr("60 CNAME x.example.")) }, dns.RcodeSuccess, `node1 TXT 60 "t"`},
	} {
		m := new(dns.Msg)
		m.SetUpdate(d.Name + ".")
		c.build(m)
		rcode, err := inv.DynamicUpdate(ctx, "k.", must[[]byte](t)(m.Pack()), plan.DNS)
		if rcode != c.rcode {
			t.Errorf("%s: %s, %v, want %s", c.name, dns.RcodeToString[rcode], err, dns.RcodeToString[c.rcode])
		}
		if got := recordsAt(t, inv, d.ID, "node1"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Reverse names are changed where the zone of a subnet is a domain, too: those of machines, leases and records stay.
func TestDynamicUpdateOfReverseNames(t *testing.T) {
	inv, ctx := sitetest.Site(t), t.Context()
	must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "k"}))
	grant := []inventory.UpdateGrant{{Key: "k", Name: "@"}}
	zones := make(map[string]int64)
	for _, zone := range []string{"0.0.10.in-addr.arpa", "64-26.2.0.192.in-addr.arpa", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"} {
		zones[zone+"."] = must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: zone, AllowUpdate: grant})).ID
	}
	const dhcid = " 60 DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="
	v6, v4, small := "0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", "0.0.10.in-addr.arpa.", "64-26.2.0.192.in-addr.arpa."
	far := "9." + strings.Repeat("0.", 15) + v6
	rr := func(text string) []dns.RR { return []dns.RR{must[dns.RR](t)(dns.NewRR(text))} }
	must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: 1, Name: "*", Type: "A", Data: "10.0.0.190"}))
	must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: 1, Name: "six", Type: "AAAA", Data: "FD00:0:0::9"}))
	for _, c := range []struct {
		name, zone, at string
		build          func(at string, m *dns.Msg)
		rcode          int
		want           string // records after it, without their name
	}{
		{"as a DHCP server does", v4, "191." + v4, func(at string, m *dns.Msg) {
			m.RemoveRRset(rr(at + " PTR x."))
			m.RemoveRRset(rr(at + " DHCID AA=="))
			m.Insert(append(rr(at+" 60 PTR new.lab.example."), rr(at+dhcid)...))
		}, dns.RcodeSuccess, "DHCID, PTR new.lab.example."},
		{"and takes it away", v4, "191." + v4, func(at string, m *dns.Msg) {
			m.Used(rr(at + dhcid))
			m.RemoveName(rr(at + " PTR x."))
		}, dns.RcodeSuccess, ""},
		{"a machine's", v4, "50." + v4, func(at string, m *dns.Msg) { m.RemoveRRset(rr(at + " PTR x.")) }, dns.RcodeRefused, ""},
		{"beside a machine's", v4, "50." + v4, func(at string, m *dns.Msg) {
			m.Used(rr(at + " 0 PTR node1.maas."))
			m.Insert(rr(at + " 60 PTR alias.maas."))
		}, dns.RcodeSuccess, "PTR alias.maas."},
		{"of its second interface", v4, "51." + v4, func(at string, m *dns.Msg) { m.Used(rr(at + " 0 PTR eth1.node1.maas.")) }, dns.RcodeSuccess, ""},
		{"a rack's", v4, "2." + v4, func(at string, m *dns.Msg) { m.Remove(rr(at + " PTR rack1.maas.")) }, dns.RcodeRefused, ""},
		{"of an A record", v4, "80." + v4, func(at string, m *dns.Msg) { m.Remove(rr(at + " PTR web.maas.")) }, dns.RcodeRefused, ""},
		{"of a wildcard there is none", v4, "190." + v4, func(at string, m *dns.Msg) {
			m.NameNotUsed(rr(at + " PTR x."))
			m.Insert(rr(at + " 60 PTR own.maas."))
		}, dns.RcodeSuccess, "PTR own.maas."},
		{"in a zone of RFC 2317", small, "66." + small, func(at string, m *dns.Msg) { m.Insert(rr(at + " 60 PTR x.maas.")) }, dns.RcodeSuccess, "PTR x.maas."},
		{"IPv6", v6, "8." + far[2:], func(at string, m *dns.Msg) {
			m.NameNotUsed(rr(at + " PTR x."))
			m.Insert(rr(at + " 60 PTR eight.maas."))
		}, dns.RcodeSuccess, "PTR eight.maas."},
		{"of an AAAA record", v6, far, func(at string, m *dns.Msg) { m.Remove(rr(at + " PTR six.maas.")) }, dns.RcodeRefused, ""},
	} {
		m := new(dns.Msg)
		m.SetUpdate(c.zone)
		c.build(c.at, m)
		rcode, err := inv.DynamicUpdate(ctx, "k.", must[[]byte](t)(m.Pack()), plan.DNS)
		if rcode != c.rcode || rcode == dns.RcodeSuccess && err != nil {
			t.Errorf("%s: %s, %v, want %s", c.name, dns.RcodeToString[rcode], err, dns.RcodeToString[c.rcode])
		}
		name := strings.TrimSuffix(c.at, "."+c.zone)
		var got []string
		for _, r := range must[[]inventory.DNSRecord](t)(inv.Records.List(ctx)) {
			if r.DomainID == zones[c.zone] && r.Name == name {
				got = append(got, strings.TrimSuffix(r.Type+" "+r.Data, dhcid[9:]))
			}
		}
		slices.Sort(got)
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := must[[]inventory.DNSRecord](t)(inv.Records.List(ctx)); slices.ContainsFunc(got, func(r inventory.DNSRecord) bool { return r.Data == "alias.maas." && r.DomainID == 1 }) {
		t.Error("made in another domain")
	}
}

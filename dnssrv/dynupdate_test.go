package dnssrv_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// updatable is a server with a few records that the holder of a key may change.
func updatable(t testing.TB) *dnssrv.Server {
	t.Helper()
	s := dnssrv.New(dnssrv.Config{})
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{{Name: "maas"}, {Name: "sub.maas"}},
		Set: []dnssrv.RRset{
			set("web.maas", "A", "192.0.2.7", "192.0.2.8"), set("web.maas", "TXT", `"x"`), set("alias.maas", "CNAME", "web.maas"),
			set("maas", "MX", "10 web.maas"), set("maas", "NS", "ns1.maas", "ns2.maas"),
		},
	})
	if err := s.SetAccess(dnssrv.Access{Keys: testKeys, Update: []dnssrv.UpdateRule{
		{Key: keyName, Below: "maas"}, {Key: keyName, Zone: "maas", Below: "only.maas", Types: []string{"A"}},
	}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func record(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rr
}

// preview returns the code of an update, and the sets that it would change.
func preview(t testing.TB, s *dnssrv.Server, key string, m *dns.Msg) string {
	t.Helper()
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	sets, rcode := s.Preview(key, wire)
	var lines []string
	for _, set := range sets {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", set.Name, set.Type, strings.Join(set.Data, "|"))))
	}
	slices.Sort(lines)
	return strings.TrimSpace(dns.RcodeToString[rcode] + " " + strings.Join(lines, "; "))
}

// The table of RFC 2136 section 3.2: conditions about names and sets, and what each answers when it does not hold.
func TestPrerequisites(t *testing.T) {
	s := updatable(t)
	one, both := []string{"web.maas. 0 IN A 192.0.2.7"}, []string{"web.maas. 0 IN A 192.0.2.8", "web.maas. 0 IN A 192.0.2.7"}
	for name, c := range map[string]struct {
		condition func(*dns.Msg, []dns.RR)
		records   []string
		want      string
	}{
		"name in use":              {(*dns.Msg).NameUsed, []string{"web.maas. A 0.0.0.0"}, "NOERROR"},
		"apex in use":              {(*dns.Msg).NameUsed, []string{"maas. A 0.0.0.0"}, "NOERROR"},
		"name not there":           {(*dns.Msg).NameUsed, []string{"none.maas. A 0.0.0.0"}, "NXDOMAIN"},
		"name not in use":          {(*dns.Msg).NameNotUsed, []string{"none.maas. A 0.0.0.0"}, "NOERROR"},
		"name there after all":     {(*dns.Msg).NameNotUsed, []string{"web.maas. A 0.0.0.0"}, "YXDOMAIN"},
		"set in use":               {(*dns.Msg).RRsetUsed, []string{"web.maas. A 0.0.0.0"}, "NOERROR"},
		"set of another type":      {(*dns.Msg).RRsetUsed, []string{"web.maas. AAAA ::"}, "NXRRSET"},
		"set not in use":           {(*dns.Msg).RRsetNotUsed, []string{"web.maas. AAAA ::"}, "NOERROR"},
		"set there after all":      {(*dns.Msg).RRsetNotUsed, []string{"web.maas. A 0.0.0.0"}, "YXRRSET"},
		"exact set":                {(*dns.Msg).Used, both, "NOERROR"},
		"a part of the set":        {(*dns.Msg).Used, one, "NXRRSET"},
		"more than the set":        {(*dns.Msg).Used, append(slices.Clone(both), "web.maas. 0 IN A 192.0.2.9"), "NXRRSET"},
		"name of the child":        {(*dns.Msg).NameUsed, []string{"x.sub.maas. A 0.0.0.0"}, "NOTZONE"},
		"name of another tree":     {(*dns.Msg).NameUsed, []string{"example. A 0.0.0.0"}, "NOTZONE"},
		"case does not matter":     {(*dns.Msg).NameUsed, []string{"WEB.Maas. A 0.0.0.0"}, "NOERROR"},
		"an alias counts as a set": {(*dns.Msg).RRsetUsed, []string{"alias.maas. CNAME x."}, "NOERROR"},
	} {
		m := new(dns.Msg).SetUpdate("maas.")
		var rrs []dns.RR
		for _, text := range c.records {
			rrs = append(rrs, record(t, text))
		}
		c.condition(m, rrs)
		if got := preview(t, s, keyName, m); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestWhatUpdatesWouldChange(t *testing.T) {
	s := updatable(t)
	for name, c := range map[string]struct {
		change  func(*dns.Msg, []dns.RR)
		records []string
		want    string
	}{
		"add to a set":               {(*dns.Msg).Insert, []string{"web.maas. 60 IN A 192.0.2.9"}, "NOERROR web.maas. A 192.0.2.7|192.0.2.8|192.0.2.9"},
		"add what is there":          {(*dns.Msg).Insert, []string{"web.maas. 60 IN A 192.0.2.7"}, "NOERROR web.maas. A 192.0.2.8|192.0.2.7"},
		"a new name":                 {(*dns.Msg).Insert, []string{"new.maas. 60 IN TXT \"a\""}, `NOERROR new.maas. TXT "a"`},
		"an alias beside records":    {(*dns.Msg).Insert, []string{"web.maas. 60 IN CNAME x."}, "NOERROR"},
		"records beside an alias":    {(*dns.Msg).Insert, []string{"alias.maas. 60 IN A 192.0.2.9"}, "NOERROR"},
		"another alias":              {(*dns.Msg).Insert, []string{"alias.maas. 60 IN CNAME x."}, "NOERROR alias.maas. CNAME x."},
		"an alias at the apex":       {(*dns.Msg).Insert, []string{"maas. 60 IN CNAME x."}, "NOERROR"},
		"remove a record":            {(*dns.Msg).Remove, []string{"web.maas. 0 IN A 192.0.2.7"}, "NOERROR web.maas. A 192.0.2.8"},
		"remove what is not there":   {(*dns.Msg).Remove, []string{"web.maas. 0 IN A 192.0.2.1"}, "NOERROR web.maas. A 192.0.2.7|192.0.2.8"},
		"remove a set":               {(*dns.Msg).RemoveRRset, []string{"web.maas. A 0.0.0.0"}, "NOERROR web.maas. A"},
		"remove a name":              {(*dns.Msg).RemoveName, []string{"web.maas. A 0.0.0.0"}, "NOERROR web.maas. A; web.maas. TXT"},
		"remove the servers":         {(*dns.Msg).RemoveRRset, []string{"maas. NS x."}, "NOERROR"},
		"remove one server":          {(*dns.Msg).Remove, []string{"maas. 0 IN NS ns1.maas."}, "NOERROR maas. NS ns2.maas."},
		"remove the apex":            {(*dns.Msg).RemoveName, []string{"maas. A 0.0.0.0"}, "NOERROR maas. MX"},
		"the serial is the server's": {(*dns.Msg).Insert, []string{"maas. 60 IN SOA a. b. 1 2 3 4 5"}, "NOERROR"},
		"a name of the child":        {(*dns.Msg).Insert, []string{"x.sub.maas. 60 IN A 192.0.2.9"}, "NOTZONE"},
		"a signature":                {(*dns.Msg).Insert, []string{`web.maas. 60 IN NSEC x. A`}, "FORMERR"},
		"two at once": {(*dns.Msg).Insert, []string{"a.maas. 60 IN A 192.0.2.1", "b.maas. 60 IN A 192.0.2.2"},
			"NOERROR a.maas. A 192.0.2.1; b.maas. A 192.0.2.2"},
	} {
		m := new(dns.Msg).SetUpdate("maas.")
		var rrs []dns.RR
		for _, text := range c.records {
			rrs = append(rrs, record(t, text))
		}
		c.change(m, rrs)
		if got := preview(t, s, keyName, m); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Malformed updates are refused as such, whatever they would change (RFC 2136 sections 2.4 and 3.4.1).
func TestMalformedUpdates(t *testing.T) {
	s := updatable(t)
	a := func(class uint16, ttl uint32) dns.RR {
		return &dns.A{Hdr: dns.RR_Header{Name: "web.maas.", Rrtype: dns.TypeA, Class: class, Ttl: ttl}, A: []byte{192, 0, 2, 7}}
	}
	anything := func(class uint16, ttl uint32) dns.RR {
		return &dns.ANY{Hdr: dns.RR_Header{Name: "web.maas.", Rrtype: dns.TypeANY, Class: class, Ttl: ttl}}
	}
	for name, c := range map[string]struct {
		change func(*dns.Msg)
		want   string
	}{
		"condition with a TTL":       {func(m *dns.Msg) { m.Answer = []dns.RR{a(dns.ClassINET, 1)} }, "FORMERR"},
		"condition of another class": {func(m *dns.Msg) { m.Answer = []dns.RR{a(dns.ClassCHAOS, 0)} }, "FORMERR"},
		"change of another class":    {func(m *dns.Msg) { m.Ns = []dns.RR{a(dns.ClassCHAOS, 0)} }, "FORMERR"},
		"removal with a TTL":         {func(m *dns.Msg) { m.Ns = []dns.RR{a(dns.ClassNONE, 1)} }, "FORMERR"},
		"removal of any record":      {func(m *dns.Msg) { m.Ns = []dns.RR{anything(dns.ClassNONE, 0)} }, "FORMERR"},
		"removal of all with a TTL":  {func(m *dns.Msg) { m.Ns = []dns.RR{anything(dns.ClassANY, 1)} }, "FORMERR"},
		"any record added":           {func(m *dns.Msg) { m.Ns = []dns.RR{anything(dns.ClassINET, 60)} }, "FORMERR"},
		"a zone of another class":    {func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, "FORMERR"},
		"a question, not a zone":     {func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }, "FORMERR"},
		"a zone that is not here":    {func(m *dns.Msg) { m.Question[0].Name = "example." }, "NOTAUTH"},
		"a name that is no zone":     {func(m *dns.Msg) { m.Question[0].Name = "web.maas." }, "NOTAUTH"},
		"a zone without a rule":      {func(m *dns.Msg) { m.Question[0].Name = "sub.maas." }, "REFUSED"},
		"no zone":                    {func(m *dns.Msg) { m.Question = nil }, "FORMERR"},
		"a query":                    {func(m *dns.Msg) { m.Opcode = dns.OpcodeQuery }, "FORMERR"},
	} {
		m := new(dns.Msg).SetUpdate("maas.")
		c.change(m)
		if got := preview(t, s, keyName, m); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	m := new(dns.Msg).SetUpdate("maas.")
	m.Insert([]dns.RR{record(t, "web.maas. 60 IN A 192.0.2.9")})
	for _, key := range []string{"", "other-key."} {
		if got := preview(t, s, key, m); got != "REFUSED" {
			t.Errorf("key %q: %s", key, got)
		}
	}
}

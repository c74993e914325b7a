package catalog_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/dnssrv/catalog"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

var testKey = dnssrv.Key{Name: "maas", Secret: "c2VjcmV0LW9mLXRoaXMtdGVzdC1vbmx5LWFiY2RlZg=="}

const apex = "catalog.example"

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func change(t testing.TB, before, members []catalog.Member) dnssrv.Change {
	t.Helper()
	c, err := catalog.Change(apex, before, members)
	ok(t, err)
	return c
}

func TestWhatIsListedIsParsed(t *testing.T) {
	members := []catalog.Member{{Zone: "A.example", Groups: []string{"nodnssec", "a \"b\" \\ \x00\xff", "nodnssec"}}, {Zone: "b.example.", ID: "One", COO: "Other.example"}}
	got, err := catalog.Parse(apex, change(t, nil, members).Set)
	ok(t, err)
	want := []catalog.Member{
		{Zone: "a.example.", ID: "12cd6d2b4ba7c0b4aa73", Groups: []string{"a \"b\" \\ \x00\xff", "nodnssec"}}, {Zone: "b.example.", ID: "one", COO: "other.example."},
	}
	want[0].ID = got[0].ID
	if diff := cmp.Diff(want, got); diff != "" || len(got[0].ID) != 20 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	less := change(t, members, members[1:])
	gone := 0
	for _, s := range less.Set {
		if len(s.Data) == 0 {
			gone++
		}
	}
	if gone != 2 { // the zone and its groups
		t.Errorf("%d sets are removed, want 2: %+v", gone, less.Set)
	}
	for _, wrong := range [][]catalog.Member{{{Zone: "."}}, {{Zone: "a", ID: "x.y"}}, {{Zone: "a"}, {Zone: "A."}}, {{Zone: "a", ID: "x"}, {Zone: "b", ID: "X"}}, {{Zone: "a", COO: ".."}}} {
		if _, err := catalog.Change(apex, nil, wrong); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}

func TestBrokenCatalogs(t *testing.T) {
	set := func(name, qtype string, data ...string) dnssrv.RRset {
		return dnssrv.RRset{Name: name + apex, Type: qtype, Data: data}
	}
	two := set("version.", "TXT", `"2"`)
	for text, sets := range map[string][]dnssrv.RRset{
		"has no version":       {set("x.zones.", "PTR", "a.example")},
		`version is ["1"]`:     {set("version.", "TXT", "1")},
		`version is ["2" "3"]`: {set("version.", "TXT", "2", "3")},
		"lists 2 zones":        {two, set("x.zones.", "PTR", "a.example", "b.example")},
		"twice":                {two, set("x.zones.", "PTR", "a.example"), set("y.zones.", "PTR", "A.example.")},
		"names 2 catalogs":     {two, set("coo.x.zones.", "PTR", "a.example", "b.example")},
		`lists "catalog`:       {two, set("x.zones.", "PTR", apex)},
		`lists "."`:            {two, set("x.zones.", "PTR", ".")},
	} {
		if got, err := catalog.Parse(apex, sets); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, %v, want %q", got, err, text)
		}
	}
	got, err := catalog.Parse(apex, []dnssrv.RRset{two, set("x.zones.", "PTR", "a.example"), set("ext.x.zones.", "TXT", "y"), set("group.z.zones.", "TXT", "y"), set("", "NS", "invalid.")})
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("x.zones.catalog.example", "PTR", "a.example.", "b.example.")
	f.Add("group.x.zones.catalog.example", "TXT", `"a\032b"`, "c")
	f.Add("version.catalog.example", "TXT", `"2"`, "")
	f.Fuzz(func(t *testing.T, name, qtype, data, more string) {
		sets := []dnssrv.RRset{{Name: "version." + apex, Type: "TXT", Data: []string{"2"}}, {Name: "x.zones." + apex, Type: "PTR", Data: []string{"a.example"}}, {Name: name, Type: qtype, Data: []string{data, more}}}
		got, err := catalog.Parse(apex, sets)
		if err != nil {
			return
		}
		again, err := catalog.Parse(apex, change(t, nil, got).Set)
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("%v (-parsed +again)\n%s", err, diff)
		}
	})
}

// server serves on loopback until the test ends.
func server(t testing.TB, cfg dnssrv.Config) (*dnssrv.Server, string) {
	t.Helper()
	s := dnssrv.New(cfg)
	ok(t, s.SetAccess(dnssrv.Access{Keys: []dnssrv.Key{testKey}, TransferKeys: []string{testKey.Name}}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	conn, err := net.ListenPacket("udp", ln.Addr().String())
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = s.ServeStream(ctx, ln) })
	all.Go(func() { _ = s.ServePacket(ctx, conn) })
	t.Cleanup(func() { cancel(); all.Wait() })
	return s, ln.Addr().String()
}

// answer returns a server's record of a name; "" = none.
func answer(addr, name string, qtype uint16) string {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	m, err := dns.Exchange(q, addr)
	if err != nil || len(m.Answer) != 1 {
		return ""
	}
	return strings.TrimPrefix(m.Answer[0].String(), m.Answer[0].Header().String())
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// follow runs a follower of sources, and returns the address of its server.
func follow(t testing.TB, cfg catalog.Config) (*catalog.Follower, *dnssrv.Server, string) {
	t.Helper()
	var f *catalog.Follower
	s, addr := server(t, dnssrv.Config{Notified: func(zone string, from netip.Addr) bool { return f.Notified(zone, from) }})
	cfg.Server = s
	var err error
	f, err = catalog.New(cfg)
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f, s, addr
}

func zoneOf(name, addr string) dnssrv.Change {
	return dnssrv.Change{Zones: []dnssrv.Zone{{Name: name}}, Set: []dnssrv.RRset{{Name: "www." + name, Type: "A", Data: []string{addr}}}}
}

// Members appear, change, move and vanish; what breaks a rule changes nothing.
func TestFollow(t *testing.T) {
	primary, from := server(t, dnssrv.Config{})
	var mu sync.Mutex
	var changes []string
	f, s, addr := follow(t, catalog.Config{
		Sources:    []catalog.Source{{Name: apex, Primary: from, Key: testKey}},
		MaxMembers: 3, Accept: func(_ string, m catalog.Member) bool { return m.Zone != "secret.example." },
		Changed: func(_ string, was, is catalog.Member) {
			mu.Lock()
			defer mu.Unlock()
			changes = append(changes, fmt.Sprintf("%s>%s%v", was.Zone, is.Zone, is.Groups))
		},
	})
	ok(t, s.Update(zoneOf("own.example", "192.0.2.99")))
	loopback := netip.MustParseAddr("127.0.0.1")
	var before []catalog.Member
	list := func(members ...catalog.Member) {
		t.Helper()
		ok(t, primary.Update(change(t, before, members)))
		before = members
		if !f.Notified(apex, loopback) {
			t.Error("the notice of the primary is not taken")
		}
	}
	one, two := catalog.Member{Zone: "one.example"}, catalog.Member{Zone: "two.example"}
	for i, z := range []string{"one.example", "two.example", "own.example", "secret.example"} {
		ok(t, primary.Update(zoneOf(z, fmt.Sprintf("192.0.2.%d", i+1))))
	}
	list(one, catalog.Member{Zone: "own.example"}, catalog.Member{Zone: "secret.example"})
	eventually(t, "the first member is served", func() bool { return answer(addr, "www.one.example", dns.TypeA) == "192.0.2.1" })
	ok(t, primary.Update(dnssrv.Change{Set: []dnssrv.RRset{{Name: "www.one.example", Type: "A"}, {Name: "new.one.example", Type: "A", Data: []string{"192.0.2.5"}}}}))
	f.Notified("one.example", loopback)
	eventually(t, "a record moved", func() bool {
		return answer(addr, "new.one.example", dns.TypeA) == "192.0.2.5" && answer(addr, "www.one.example", dns.TypeA) == ""
	})
	one.Groups = []string{"g"}
	list(one, two)
	eventually(t, "the second member is served", func() bool { return answer(addr, "www.two.example", dns.TypeA) == "192.0.2.2" })
	list(one, two, catalog.Member{Zone: "x"}, catalog.Member{Zone: "y"}) // too many
	if f.Notified(apex, netip.MustParseAddr("192.0.2.66")) || f.Notified("own.example.", loopback) {
		t.Error("the notice of a stranger is taken")
	}
	list(two)
	eventually(t, "the first member is gone", func() bool { _, there := s.Serial("one.example"); return !there })
	if answer(addr, "www.own.example", dns.TypeA) != "192.0.2.99" || answer(addr, "www.secret.example", dns.TypeA) != "" {
		t.Error("a zone was replaced, or one that is not accepted is served")
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{">one.example.[]", ">own.example.[]", "one.example.>one.example.[g]", "own.example.>[]", ">two.example.[]", "one.example.>[]"}
	if len(changes) != len(want) || slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(changes, w) }) {
		t.Errorf("changes %q, want %q", changes, want)
	}
}

// A zone moves to another catalog if its own says so.
func TestChangeOfOwnership(t *testing.T) {
	first, from := server(t, dnssrv.Config{})
	second, other := server(t, dnssrv.Config{})
	ok(t, first.Update(change(t, nil, []catalog.Member{{Zone: "z.example"}})))
	ok(t, first.Update(zoneOf("z.example", "192.0.2.1")))
	f, _, addr := follow(t, catalog.Config{Sources: []catalog.Source{
		{Name: apex, Primary: from, Key: testKey}, {Name: "second.example", Primary: other, Key: testKey},
	}})
	eventually(t, "it is of the first", func() bool { return answer(addr, "www.z.example", dns.TypeA) == "192.0.2.1" })
	c, err := catalog.Change("second.example", nil, []catalog.Member{{Zone: "z.example"}, {Zone: "witness.example"}})
	ok(t, err)
	ok(t, second.Update(c))
	ok(t, second.Update(zoneOf("z.example", "192.0.2.2")))
	loopback := netip.MustParseAddr("127.0.0.1")
	f.Notified("second.example", loopback)
	eventually(t, "the second is read", func() bool { return len(f.Members("second.example")) == 1 })
	ok(t, first.Update(change(t, nil, []catalog.Member{{Zone: "z.example", COO: "second.example"}})))
	f.Notified(apex, loopback)
	eventually(t, "it may move", func() bool { return f.Members(apex)[0].COO != "" })
	c, err = catalog.Change("second.example", nil, []catalog.Member{{Zone: "z.example"}, {Zone: "witness2.example"}})
	ok(t, err)
	ok(t, second.Update(c))
	f.Notified("second.example", loopback)
	eventually(t, "it is of the second", func() bool { return answer(addr, "www.z.example", dns.TypeA) == "192.0.2.2" })
	if got := f.Members(apex); len(got) != 0 {
		t.Errorf("the first still has %v", got)
	}
}

func TestConfigErrors(t *testing.T) {
	for want, c := range map[string]catalog.Config{
		"Server":  {},
		"Name":    {Server: dnssrv.New(dnssrv.Config{}), Sources: []catalog.Source{{Primary: "192.0.2.1:53"}}},
		"Primary": {Server: dnssrv.New(dnssrv.Config{}), Sources: []catalog.Source{{Name: "x"}}},
		"Key":     {Server: dnssrv.New(dnssrv.Config{}), Sources: []catalog.Source{{Name: "x", Primary: "192.0.2.1:53", Key: dnssrv.Key{Name: "k"}}}},
	} {
		if _, err := catalog.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// peer is a foreign server of ours, as secondary or primary.
type peer struct{ dir, port string }

func newPeer(t testing.TB) peer {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return peer{t.TempDir(), port}
}

func (p peer) addr() string { return "127.0.0.1:" + p.port }

func (p peer) file(t testing.TB, name, text string) string {
	path := filepath.Join(p.dir, name)
	ok(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (p peer) run(t testing.TB, program string, args ...string) {
	cmd := exec.Command(program, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	ok(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", program, out.String())
		}
	})
}

func (p peer) bind(t testing.TB, options, zones string) {
	conf := fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile "%s/session.key"; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; notify no; allow-notify { 127.0.0.1; }; allow-query { any; }; minimal-responses yes; %s };
controls { };
key maas { algorithm hmac-sha256; secret %q; };
%s`, p.dir, p.dir, p.port, options, string(testKey.Secret), zones)
	p.run(t, "named", "-g", "-n", "1", "-c", p.file(t, "named.conf", conf))
}

func (p peer) knot(t testing.TB, text string) {
	conf := fmt.Sprintf("server:\n  listen: 127.0.0.1@%s\n  rundir: %s\ndatabase:\n  storage: %s\nkey:\n  - id: maas\n    algorithm: hmac-sha256\n    secret: %s\n%s", p.port, p.dir, p.dir, string(testKey.Secret), text)
	p.run(t, "knotd", "-c", p.file(t, "knot.conf", conf))
}

// consumes has a foreign server follow our catalog: members appear and vanish.
func consumes(t *testing.T, start func(p peer, primary, port string)) {
	p := newPeer(t)
	s, from := server(t, dnssrv.Config{})
	members := []catalog.Member{{Zone: "one.example", Groups: []string{"g"}}, {Zone: "two.example"}}
	ok(t, s.Update(change(t, nil, members[:1])))
	ok(t, s.Update(zoneOf("one.example", "192.0.2.1")))
	ok(t, s.Update(zoneOf("two.example", "192.0.2.2")))
	ok(t, s.SetAccess(dnssrv.Access{Keys: []dnssrv.Key{testKey}, TransferKeys: []string{testKey.Name}, Notify: []netip.AddrPort{netip.MustParseAddrPort(p.addr())}}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.SendNotifies(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	host, port, _ := net.SplitHostPort(from)
	start(p, host, port)
	eventually(t, "it serves the member", func() bool { return answer(p.addr(), "www.one.example", dns.TypeA) == "192.0.2.1" })
	ok(t, s.Update(change(t, members[:1], members)))
	eventually(t, "it serves the second member", func() bool { return answer(p.addr(), "www.two.example", dns.TypeA) == "192.0.2.2" })
	ok(t, s.Update(change(t, members, members[1:])))
	eventually(t, "the first member is gone", func() bool { return answer(p.addr(), "www.one.example", dns.TypeA) == "" })
}

func TestBINDConsumes(t *testing.T) {
	netlab.Require(t, netlab.Program("named", "bind9"))
	consumes(t, func(p peer, host, port string) {
		from := fmt.Sprintf("{ %s port %s key maas; }", host, port)
		p.bind(t, fmt.Sprintf("catalog-zones { zone %q default-primaries %s in-memory yes min-update-interval 0; };", apex, from),
			fmt.Sprintf("zone %q { type secondary; primaries %s; file \"c.db\"; };\n", apex, from))
	})
}

func TestKnotConsumes(t *testing.T) {
	netlab.Require(t, netlab.Program("knotd", "knot"))
	consumes(t, func(p peer, host, port string) {
		p.knot(t, fmt.Sprintf(`remote:
  - id: us
    address: %s@%s
    key: maas
acl:
  - id: notices
    address: 127.0.0.1
    action: notify
template:
  - id: default
    storage: %s
  - id: member
    master: us
    acl: notices
    storage: %s
zone:
  - domain: %s
    master: us
    acl: notices
    catalog-role: interpret
    catalog-template: member
`, host, port, p.dir, p.dir, apex))
	})
}

const soa = "$TTL 60\n@ IN SOA invalid. invalid. 1 3600 600 86400 60\n@ IN NS invalid.\n"

// produces has us follow the catalog of a foreign server.
func produces(t *testing.T, p peer) {
	_, _, addr := follow(t, catalog.Config{Sources: []catalog.Source{{Name: apex, Primary: p.addr(), Key: testKey}}})
	eventually(t, "we serve its member", func() bool { return answer(addr, "www.one.example", dns.TypeA) == "192.0.2.1" })
}

func TestBINDProduces(t *testing.T) {
	netlab.Require(t, netlab.Program("named", "bind9"))
	p := newPeer(t)
	list := p.file(t, "c.db", soa+"version TXT \"2\"\nx.zones PTR one.example.\ngroup.x.zones TXT \"g\" \n")
	one := p.file(t, "one.db", soa+"www A 192.0.2.1\n")
	access := "allow-transfer { key maas; };"
	p.bind(t, "", fmt.Sprintf("zone %q { type primary; file %q; %s };\nzone one.example { type primary; file %q; %s };\n", apex, list, access, one, access))
	eventually(t, "BIND serves", func() bool { return answer(p.addr(), "www.one.example", dns.TypeA) != "" })
	produces(t, p)
}

func TestKnotProduces(t *testing.T) {
	netlab.Require(t, netlab.Program("knotd", "knot"))
	p := newPeer(t)
	one := p.file(t, "one.db", soa+"www A 192.0.2.1\n")
	p.knot(t, fmt.Sprintf(`acl:
  - id: us
    key: maas
    action: transfer
zone:
  - domain: %s
    acl: us
    catalog-role: generate
  - domain: one.example
    acl: us
    file: %s
    catalog-role: member
    catalog-zone: %s
    catalog-group: g
`, apex, one, apex))
	eventually(t, "Knot serves", func() bool {
		return answer(p.addr(), "www.one.example", dns.TypeA) != ""
	})
	produces(t, p)
}

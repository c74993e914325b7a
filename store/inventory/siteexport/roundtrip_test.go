package siteexport

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// A document that is written and read again is the same site, as far as the server knows it.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(150) {
		doc := generated(rand.New(rand.NewPCG(seed, 7)))
		for _, kind := range []string{"dhcpd", "kea", "dnsmasq"} {
			doc := doc
			if kind == "dnsmasq" { // the tag of a range is its subnet's, too
				doc.Snippets = slices.DeleteFunc(slices.Clone(doc.Snippets), func(s sitedoc.Snippet) bool { return s.Range != "" })
			}
			got, err := Write(doc, kind, Options{})
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, kind, err)
			}
			for _, is4 := range []bool{true, false} {
				file := fileOf(got, kind, is4)
				if file == nil {
					continue
				}
				want := dhcpFacts(doc, is4, kind)
				read := imported(t, kind, *file)
				if diff := cmp.Diff(want, dhcpFacts(read.Document, is4, kind)); diff != "" {
					t.Fatalf("seed %d: %s (-want +got)\n%s\n%s\n%s", seed, kind, diff, file.Data, read.Report)
				}
			}
		}
		for _, kind := range []string{"bind", "hosts"} {
			got, err := Write(doc, kind, Options{})
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, kind, err)
			}
			read := imported(t, kind, got.Files...)
			if diff := cmp.Diff(nameFacts(doc, kind), nameFacts(read.Document, kind)); diff != "" {
				t.Fatalf("seed %d: %s (-want +got)\n%s\n%s", seed, kind, diff, read.Report)
			}
		}
	}
}

// fileOf returns the file of a family; dnsmasq has both in one.
func fileOf(r Result, kind string, is4 bool) *File {
	for i, f := range r.Files {
		if kind == "dnsmasq" || strings.Contains(f.Name, "6") != is4 {
			return &r.Files[i]
		}
	}
	return nil
}

func imported(t *testing.T, kind string, files ...File) siteimport.Result {
	t.Helper()
	fsys := fstest.MapFS{}
	var names []string
	for _, f := range files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
		if f.Name != "ethers" && !strings.HasPrefix(f.Name, "db.") {
			names = append(names, f.Name)
		}
	}
	got, err := siteimport.Read(fsys, siteimport.Options{Kind: kind}, names...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// dhcpFacts says what clients of a family get.
func dhcpFacts(doc sitedoc.Document, is4 bool, kind string) (out []string) {
	s := newPage(doc, Options{}).dhcp()
	site := s.options4
	if !is4 {
		site = s.options6
	}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, n := range s.ofVersion(is4) {
		var beside []string
		for _, sub := range n.subnets {
			beside = append(beside, sub.prefix.String())
			options := overlay(site, sub.options)
			for _, o := range options {
				add("subnet %s option %d %x", sub.prefix, o.Code, o.Data)
			}
			add("subnet %s", sub.prefix)
			for _, p := range sub.pools {
				add("pool %s class %q options %s", p.IPRange, p.class, optionFacts(overlay(options, p.options)))
			}
			for _, pd := range sub.pd {
				if kind != "dnsmasq" {
					add("delegated %s", pd)
				}
			}
		}
		if slices.Sort(beside); kind != "dnsmasq" {
			add("together %v", beside)
		}
	}
	for _, h := range s.hosts {
		for _, a := range h.addrs {
			if a.Is4() == is4 {
				add("host %s address %s", h.mac, a)
			}
		}
		options := h.options4
		if !is4 {
			options = h.options6
		}
		if len(options) > 0 {
			add("host %s options %s", h.mac, optionFacts(options))
		}
	}
	for _, c := range s.classes {
		options := c.Options
		if !is4 {
			if options = c.Options6; len(options) == 0 || c.UserClass != "" || c.VendorClass != "" || len(c.MACPrefix)+len(c.CircuitID) > 0 {
				continue
			}
		}
		add("class %s vendor %q user %q arch %v mac %v circuit %x options %s", c.Name, c.VendorClass, c.UserClass, c.Arch, c.MACPrefix, c.CircuitID, optionFacts(options))
	}
	slices.Sort(out)
	return out
}

func optionFacts(all dhcpsrv.Options) string {
	var out []string
	for _, o := range all {
		out = append(out, fmt.Sprintf("%d=%x", o.Code, o.Data))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// nameFacts are the records of the site, those of its machines included.
func nameFacts(doc sitedoc.Document, kind string) []string {
	p := newPage(doc, Options{})
	facts := map[string]bool{}
	for _, n := range p.hostNames() {
		facts[n.name+" "+n.addr.String()] = true
	}
	for _, r := range p.records() {
		if _, ok := r.addrRecord(); ok || kind == "bind" {
			facts[r.name+" "+r.data] = true
		}
	}
	return slices.Sorted(maps.Keys(facts))
}

// generated makes a document of what servers and sites have in common.
func generated(r *rand.Rand) (doc sitedoc.Document) {
	some := func(n int) int { return r.IntN(n + 1) }
	yes := func() bool { return r.IntN(2) == 0 }
	doc.Domains = []sitedoc.Domain{{Name: "lab.example", Default: true}}
	if yes() {
		doc.Domains = append(doc.Domains, sitedoc.Domain{Name: "test.example"})
	}
	if yes() {
		doc.Settings = map[string]string{"ntp_servers": "192.0.2.123, 2001:db8::123"}
	}
	for i := range some(3) {
		c := sitedoc.Class{Name: fmt.Sprintf("class-%d", i), Sequence: i + 1, Options: []string{"", "option time-offset 3600;", "option 224 01:02:03;"}[r.IntN(3)]}
		switch i {
		case 0:
			c.MACPrefix = "02:00:5e"
		case 1:
			c.Arch = []uint16{7, 9}[:1+r.IntN(2)]
			if yes() {
				c.Options = "option dhcp6.sntp-servers 2001:db8::9;"
			}
		case 2:
			c.CircuitID = "0x0004000a0107"
		}
		doc.Classes = append(doc.Classes, c)
	}
	mac := 0
	nextMAC := func() string { mac++; return fmt.Sprintf("52:54:00:00:%02x:%02x", mac/256, mac%256) }
	for n := range 1 + some(3) {
		fabric := fmt.Sprintf("net-%d", some(2))
		vlan := fabric + "/0"
		if !slices.ContainsFunc(doc.Fabrics, func(f sitedoc.Fabric) bool { return f.Name == fabric }) {
			doc.Fabrics = append(doc.Fabrics, sitedoc.Fabric{Name: fabric})
			doc.VLANs = append(doc.VLANs, sitedoc.VLAN{Fabric: fabric, MTU: []int{0, 9000}[r.IntN(2)]})
		}
		at := func(host int) string { return fmt.Sprintf("10.%d.0.%d", n, host) }
		s := sitedoc.Subnet{CIDR: at(0) + "/24", VLAN: vlan, DenyDNS: true}
		if yes() {
			s.Gateway = at(1)
		}
		for i := range some(2) {
			s.DNSServers = append(s.DNSServers, at(50+i))
		}
		doc.Subnets = append(doc.Subnets, s)
		for i := range some(3) {
			x := sitedoc.Range{Type: "dynamic", Start: at(100 + 30*i), End: at(100 + 30*i + r.IntN(29))}
			if len(doc.Classes) > 0 && yes() {
				x.Class = doc.Classes[r.IntN(len(doc.Classes))].Name
			}
			doc.Ranges = append(doc.Ranges, x)
			if yes() {
				doc.Snippets = append(doc.Snippets, sitedoc.Snippet{Name: x.Start, Value: "option interface-mtu 1400;", Range: x.Start + "-" + x.End})
			}
		}
		if yes() {
			doc.Ranges = append(doc.Ranges, sitedoc.Range{Type: "reserved", Start: at(60), End: at(110)})
		}
		if yes() {
			doc.Snippets = append(doc.Snippets, sitedoc.Snippet{Name: s.CIDR, Value: "option domain-search \"a.example\", \"b.example\";\noption 43 01:02;\noption root-path \"/srv\";", Subnet: s.CIDR})
		}
		for i := range some(3) {
			doc.Reserved = append(doc.Reserved, sitedoc.ReservedIP{IP: at(20 + i), MAC: nextMAC(), Comment: fmt.Sprintf("host-%d-%d", n, i)})
		}
		if yes() {
			name := fmt.Sprintf("web-%d", n)
			doc.Machines = append(doc.Machines, sitedoc.Machine{Hostname: name, Domain: "lab.example", Interfaces: []sitedoc.Interface{
				{Name: "eth0", MAC: nextMAC(), Links: []sitedoc.Link{{Mode: "static", Subnet: s.CIDR, IP: at(30)}}}, {Name: "eth1", MAC: nextMAC(), Links: []sitedoc.Link{{Mode: "static", Subnet: s.CIDR, IP: at(31)}}}}})
			if yes() {
				doc.Snippets = append(doc.Snippets, sitedoc.Snippet{Name: name, Value: "option host-name \"" + name + "\";", Machine: name + ".lab.example"})
			}
		}
		if yes() {
			six := fmt.Sprintf("2001:db8:%d::", n+1)
			s6 := sitedoc.Subnet{CIDR: six + "/64", VLAN: vlan, DNSServers: []string{six + "53"}, DenyDNS: true}
			if yes() {
				s6.Delegated = []string{fmt.Sprintf("2001:db8:f%d00::/40-56", n)}
			}
			doc.Subnets = append(doc.Subnets, s6)
			doc.Ranges = append(doc.Ranges, sitedoc.Range{Type: "dynamic", Start: six + "1000", End: six + "1fff"})
			doc.Reserved = append(doc.Reserved, sitedoc.ReservedIP{IP: six + "20", MAC: nextMAC()})
		}
	}
	if len(doc.Subnets) > 1 && doc.Subnets[1].CIDR[0] == '1' && yes() {
		doc.Routes = []sitedoc.Route{{Source: doc.Subnets[0].CIDR, Destination: doc.Subnets[1].CIDR, Gateway: "10.0.0.9"}}
	}
	if yes() {
		doc.Snippets = append(doc.Snippets, sitedoc.Snippet{Name: "site", Value: "option netbios-name-servers 192.0.2.44;\noption dhcp6.info-refresh-time 600;"})
	}
	for i := range some(5) {
		doc.Records = append(doc.Records, []sitedoc.Record{
			{Domain: "lab.example", Name: "www", Type: "A", Data: "10.0.0.80"}, {Domain: "lab.example", Name: "@", Type: "MX", Data: "10 mail"},
			{Domain: "lab.example", Name: "mail", Type: "CNAME", Data: "www.lab.example", TTL: 60}, {Domain: "lab.example", Name: "_x._tcp", Type: "SRV", Data: "0 5 389 www.lab.example."},
			{Domain: "lab.example", Name: "info", Type: "TXT", Data: `"a; text"`},
		}[i])
	}
	if len(nameFacts(doc, "hosts")) == 0 {
		doc.Records = append(doc.Records, sitedoc.Record{Domain: "lab.example", Name: "www", Type: "A", Data: netip.MustParseAddr("10.0.0.80").String()})
	}
	return doc
}

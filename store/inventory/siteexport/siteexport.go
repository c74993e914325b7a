package siteexport

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// Kind is a kind of servers, or of files, whose configuration can be written.
type Kind struct {
	Name   string
	Writes string // what is written, for people

	write func(p *page)
	// left has the reason for what the kind never has, by object or by object.field.
	left map[string]string
}

// Kinds are the kinds of configurations that can be written.
func Kinds() []Kind {
	return []Kind{
		{Name: "dhcpd", Writes: "dhcpd.conf and dhcpd6.conf of ISC dhcpd", write: writeDhcpd, left: noDHCP},
		{Name: "kea", Writes: "kea-dhcp4.conf and kea-dhcp6.conf of Kea", write: writeKea, left: noDHCP},
		{Name: "dnsmasq", Writes: "dnsmasq.conf with DHCP and DNS", write: writeDnsmasq, left: noDnsmasq},
		{Name: "bind", Writes: "named.conf of BIND with the zones of domains and subnets", write: writeBind, left: noDNS},
		{Name: "hosts", Writes: "hosts and ethers: names and MAC addresses by address", write: writeHosts, left: noHosts},
		{Name: "ansible", Writes: "inventory.json for Ansible: machines by zone, pool and tag", write: writeAnsible, left: noAnsible},
	}
}

// Options say how a configuration is written.
type Options struct {
	// BootServer is the address of the server that has the boot files, such as a rack. If empty, no
	// boot file is named.
	BootServer string
	// NameServer is the name of the DNS server in NS and SOA records; "" = localhost. In a zone of
	// the document it has an address there.
	NameServer string
	// Serial is the serial number of zones, which has to grow with each export; 0 = 1.
	Serial uint32
}

// Result holds a configuration.
type Result struct {
	Kind   string
	Files  []File
	Report Report
}

// File is a file of a configuration.
type File struct {
	Name string
	Data []byte
}

// Report has the items of the document's objects in the order of the document.
type Report []Item

// Item describes what became of some fields of an object.
type Item struct {
	Object  string             `json:"object"` // such as "subnet 192.0.2.0/24"
	Fields  []string           `json:"fields"`
	Outcome siteimport.Outcome `json:"outcome"`
	Why     string             `json:"why"` // what it became, or why it is left out and what to do
}

// Count returns the number of fields with an outcome.
func (r Report) Count(o siteimport.Outcome) (n int) {
	for _, i := range r {
		if i.Outcome == o {
			n += len(i.Fields)
		}
	}
	return n
}

// String is the report as a table.
func (r Report) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OBJECT\tFIELDS\tOUTCOME\tWHY")
	for _, i := range r {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.Object, strings.Join(i.Fields, " "), i.Outcome, i.Why)
	}
	w.Flush()
	return out.String()
}

// Write writes the configuration of a kind.
func Write(doc sitedoc.Document, kind string, o Options) (Result, error) {
	all := Kinds()
	at := slices.IndexFunc(all, func(k Kind) bool { return k.Name == kind })
	if at < 0 {
		var names []string
		for _, k := range all {
			names = append(names, k.Name)
		}
		return Result{}, fmt.Errorf("siteexport: kind %q is none of %s", kind, strings.Join(names, ", "))
	}
	for what, name := range map[string]string{"boot": o.BootServer, "name": o.NameServer} {
		if strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(hostRunes, r) }) {
			return Result{}, fmt.Errorf("siteexport: %s server %q is neither an address nor a host name", what, name)
		}
	}
	p := newPage(doc, o)
	all[at].write(p)
	if p.err != nil {
		return Result{}, fmt.Errorf("siteexport: %w", p.err)
	}
	if len(p.files) == 0 {
		return Result{}, errors.New("siteexport: the document has nothing that a " + kind + " configuration has")
	}
	return Result{Kind: kind, Files: p.files, Report: p.report(all[at])}, nil
}

// hostRunes are the characters of host names and of addresses.
const hostRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_"

package siteimport

import (
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"
)

// csvColumns are the names of columns by their meaning, in the form in which headers are compared:
// lower case, without spaces, dashes and underscores.
var csvColumns = map[string][]string{
	"mac":     {"mac", "macaddress", "hwaddr", "hwaddress", "hardwareaddress", "ethernet", "ethernetaddress"},
	"name":    {"name", "hostname", "host", "fqdn", "dnsname", "computername"},
	"ip":      {"ip", "ipaddress", "address", "ipv4", "ipv6", "ipv4address", "ipv6address", "fixedaddress", "reservedip"},
	"subnet":  {"subnet", "cidr", "network", "prefix"},
	"gateway": {"gateway", "gatewayip", "router", "defaultgateway"},
	"dns":     {"dns", "dnsservers", "nameservers", "nameserver"},
	"vlan":    {"vlan", "vid", "vlanid"},
	"start":   {"start", "startip", "rangestart", "first", "from"},
	"end":     {"end", "endip", "rangeend", "last", "to"},
	"type":    {"type", "rangetype"},
	"alias":   {"alias", "cname", "aliases"},
	"comment": {"comment", "description", "notes", "remark", "remarks"},
}

// csvColumnNames are the meanings of columns.
func csvColumnNames() []string {
	return slices.Sorted(maps.Keys(csvColumns))
}

// csvTable reads one table.
type csvTable struct {
	*builder
	file    string
	header  []string
	meaning []string // of each column; "" = not known
	// gateways has the first gateway of each subnet: tables repeat it in all rows.
	gateways map[netip.Prefix]string
}

// readCSV reads tables whose header names the columns. The separator is the one that the header has
// most of: comma, semicolon or tab.
func readCSV(b *builder, src *source, files []string) error {
	for _, name := range files {
		text, err := src.text(name)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(text, "\n")
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord, r.ReuseRecord, r.TrimLeadingSpace = -1, true, true
		for _, c := range ",;\t" {
			if strings.Count(first, string(c)) > strings.Count(first, string(r.Comma)) {
				r.Comma = c
			}
		}
		t := csvTable{builder: b, file: name, gateways: map[netip.Prefix]string{}}
		for {
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			var wrong *csv.ParseError
			if errors.As(err, &wrong) {
				return place{file: name, line: wrong.StartLine}.errorf("the row cannot be read: %v; correct its quotes", wrong.Err)
			} else if err != nil {
				return err
			}
			line, _ := r.FieldPos(0)
			p := place{file: name, line: line, text: clip(strings.Join(row, string(r.Comma))), tokens: len(row)}
			if err := src.count(p); err != nil {
				return err
			}
			if t.header == nil {
				err = t.columns(p, row)
			} else {
				err = t.row(p, row)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// columns reads the header.
func (t *csvTable) columns(p place, row []string) error {
	t.header, t.meaning = slices.Clone(row), make([]string, len(row))
	t.put(p, Taken, "names of the columns")
	any := false
	for i, name := range row {
		folded := strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(name))
		for meaning, names := range csvColumns {
			if slices.Contains(names, folded) {
				t.meaning[i] = meaning
				any = true
			}
		}
		if t.meaning[i] == "comment" {
			t.put(p.part(name), LeftOut, "comments are not kept")
		}
		if t.meaning[i] != "" {
			continue
		}
		if !t.o.AllowUnknown {
			return p.errorf("the column %q is not known; name it one of %s, or leave it out with --allow-unknown", clip(name), strings.Join(csvColumnNames(), ", "))
		}
		t.put(p.part(name), LeftOut, "the column is not known")
	}
	if !any {
		return p.errorf("the first row names no column that is known: %s", strings.Join(csvColumnNames(), ", "))
	}
	return nil
}

// row translates a row: it declares a subnet, a range, a host, names, or several of these.
func (t *csvTable) row(p place, row []string) error {
	if len(row) != len(t.header) {
		return p.errorf("the row has %d fields, and the header %d; is a separator missing?", len(row), len(t.header))
	}
	cell := map[string]string{}
	for i, v := range row {
		// People write a dash for nothing.
		if v = strings.TrimSpace(v); v != "" && v != "-" && t.meaning[i] != "" && cell[t.meaning[i]] == "" {
			cell[t.meaning[i]] = v
		}
	}
	at := t.put(p, LeftOut, "says nothing that a site has")
	took := func(o Outcome, what string) {
		if t.out.Report[at].Outcome == LeftOut {
			t.settle(at, o, "%s", what)
		}
	}
	in := t.site
	if text := cell["subnet"]; text != "" {
		sub, why := t.subnetRow(p, text, cell)
		if why != "" {
			t.settle(at, LeftOut, "%s", why)
			return nil
		}
		in = sub
		took(Taken, "its parts follow")
	}
	if cell["start"] != "" {
		first, _ := netip.ParseAddr(cell["start"])
		last, err := netip.ParseAddr(cell["end"])
		if err != nil {
			last = first
		}
		pool := &scope{parent: in, kind: "pool", subnet: in.subnet}
		if kind := cell["type"]; strings.EqualFold(kind, "reserved") {
			pool.closed = "type reserved"
		} else if kind != "" && !strings.EqualFold(kind, "dynamic") {
			t.put(p.part(kind), Changed, "ranges are dynamic or reserved; it is reserved, and gives no addresses until you change that")
			pool.closed = "type " + kind
		}
		took(Taken, "its parts follow")
		t.addRange(p.part(cell["start"]+"-"+cell["end"]), netipx.IPRangeFrom(first, last), pool)
	}
	if cell["ip"] != "" || cell["mac"] != "" {
		took(Taken, "its parts follow")
		t.hostRow(p, cell, in)
	}
	return nil
}

// subnetRow declares the subnet of a row unless it exists.
func (t *csvTable) subnetRow(p place, text string, cell map[string]string) (*scope, string) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, "the subnet is not a network such as 192.0.2.0/24; correct it"
	}
	prefix = prefix.Masked()
	sub := t.byCIDR[prefix]
	if sub == nil {
		at, why := t.addSubnet(prefix, t.site)
		if why != "" {
			return nil, why
		}
		sub = at.subnet
		t.put(p.part(text), Taken, "subnet %s on fabric %s", prefix, at.name)
	}
	if g := cell["gateway"]; g != "" && t.gateways[prefix] == "" {
		t.gateways[prefix] = g
		t.addOption(p.part(g), sub.at, option{name: "routers", value: g}, sixGateway(g))
	} else if g != t.gateways[prefix] && g != "" {
		t.put(p.part(g), LeftOut, "the subnet has the gateway %s", clip(t.gateways[prefix]))
	}
	if d := cell["dns"]; d != "" && sub.doc.DNSServers == nil {
		name := "domain-name-servers"
		if prefix.Addr().Is6() {
			name = "dhcp6.name-servers"
		}
		servers := strings.FieldsFunc(d, func(r rune) bool { return r == ' ' || r == ',' || r == ';' })
		t.addOption(p.part(d), sub.at, option{name: name, value: strings.Join(servers, ", ")}, "")
	}
	if v := cell["vlan"]; v != "" {
		if vid, err := strconv.Atoi(v); err != nil || vid < 0 || vid > 4094 {
			t.put(p.part(v), LeftOut, "is not the number of a VLAN; correct it")
		} else if t.setVLAN(sub, vid) {
			t.put(p.part(v), Taken, "VLAN of subnet %s", prefix)
		}
	}
	return sub.at, ""
}

// sixGateway refuses gateways of IPv6 in DHCP, which has no option for them.
func sixGateway(text string) string {
	if a, err := netip.ParseAddr(text); err != nil || !a.Is4() {
		return "hosts learn the gateway of IPv6 from router advertisements; set gateway_ip of the subnet"
	}
	return ""
}

// hostRow reserves the address of a row for its MAC address, and names it.
func (t *csvTable) hostRow(p place, cell map[string]string, in *scope) {
	addr, err := netip.ParseAddr(strings.Split(cell["ip"], "/")[0])
	if cell["ip"] != "" && err != nil {
		t.put(p.part(cell["ip"]+" "+cell["mac"]), LeftOut, "is not an address; correct it, for its MAC address and name")
		return
	}
	name := cell["name"]
	if mac := cell["mac"]; mac != "" {
		h := t.addHost(p.part("host "+name), name, in)
		t.setMAC(p.part(mac), h, mac)
		if addr.IsValid() {
			t.setAddrs(p.part(addr.String()), h, addr)
		}
	}
	if !addr.IsValid() || !strings.Contains(name, ".") {
		if cell["mac"] == "" {
			t.put(p.part(name), LeftOut, "an address without a MAC address needs a name with its domain")
		}
		return
	}
	t.addAddress(p.part(name), name, addr, 0)
	for alias := range strings.FieldsFuncSeq(cell["alias"], func(r rune) bool { return r == ' ' || r == ',' || r == ';' }) {
		t.addRecord(p.part(alias), alias, "CNAME", absolute(name), 0)
	}
}

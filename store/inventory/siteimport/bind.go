package siteimport

import (
	"io/fs"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store/inventory/setting"
)

// bind translates named.conf, as the BIND 9 Administrator Reference Manual describes it.
type bind struct {
	*builder
	src   *source
	first string // file of the configuration
	dir   string // of zone files
	zones map[string]bool
	// pendingTTL holds $TTL of a file by itself until its SOA record names the zone.
	pendingTTL []zoneTTLOf
}

// zoneTTLOf is the default TTL of a zone.
type zoneTTLOf struct {
	zone string
	ttl  int
}

var bindSOA = regexp.MustCompile(`(?im)^\S*(\s+\d\w*)?(\s+IN)?(\s+\d\w*)?\s+SOA\s`)

func readBind(b *builder, src *source, files []string) error {
	d := &bind{builder: b, src: src, zones: map[string]bool{}}
	for _, name := range files {
		first, err := head(src.fsys, name)
		if err != nil {
			return err
		}
		// named.conf has no SOA, and every zone has one.
		if bindSOA.MatchString(first) {
			if err := d.zoneFile(name, zoneName(name)); err != nil {
				return err
			}
			continue
		}
		t := tree{source: src, bind: true}
		statements, err := t.read(name, nil, 0)
		if err != nil {
			return err
		}
		d.first, d.dir = name, path.Dir(name)
		d.directory(statements)
		if err := d.block(statements); err != nil {
			return err
		}
	}
	return nil
}

// zoneName guesses the zone of a file by its name: db.example.org, example.org.zone. A file that
// names its origin does not need it.
func zoneName(file string) string {
	name := path.Base(file)
	for _, cut := range []string{"db.", "zone.", "named."} {
		name = strings.TrimPrefix(name, cut)
	}
	for _, cut := range []string{".zone", ".db", ".txt", ".hosts", ".fwd", ".rev"} {
		name = strings.TrimSuffix(name, cut)
	}
	return name
}

// directory finds the directory of zone files, which may be after zones that need it.
func (d *bind) directory(statements []*statement) {
	for _, s := range statements {
		switch s.word(0) {
		case "include":
			d.directory(s.body)
		case "options":
			for _, o := range s.body {
				if o.word(0) == "directory" {
					d.dir = clean(o.name(1))
				}
			}
		}
	}
}

// bindLeftOut are the statements of named.conf that no site document has.
var bindLeftOut = reasons(map[string]string{
	"belongs to the server program, not to the site":                          "logging controls statistics-channels managed-keys trusted-keys trust-anchors dnssec-policy lwres http tls dlz dyndb plugin parental-agents",
	"secrets are not in a site document; make a key with: maas tsigkey":       "key",
	"lists of addresses have no names in a site; write them where they count": "acl masters primaries remote-servers",
	"servers are chosen by domain; set forward of an external domain":         "server",
})

func (d *bind) block(statements []*statement) error {
	for _, s := range statements {
		if why, ok := bindLeftOut[s.word(0)]; ok {
			d.leave(s, why)
			continue
		}
		var err error
		switch s.word(0) {
		case "include":
			d.put(s.place(), Taken, "its statements follow")
			err = d.block(s.body)
		case "options":
			d.put(s.place(), Taken, "its statements follow")
			for _, o := range s.body {
				d.option(o)
			}
		case "view":
			d.put(s.place(), Changed, "its zones are of the whole site, which has no views; the first view that has a zone counts")
			err = d.view(s.body)
		case "zone":
			err = d.zone(s)
		default:
			if err = d.unknown(s.place()); err == nil {
				for _, in := range s.body {
					d.leave(in, "is part of "+clip(s.name(0))+", which is left out")
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// view translates the zones of a view, and leaves its options out.
func (d *bind) view(body []*statement) error {
	for _, s := range body {
		switch s.word(0) {
		case "zone", "include":
			if err := d.block([]*statement{s}); err != nil {
				return err
			}
		default:
			d.leave(s, "belongs to the view; a site has one view")
		}
	}
	return nil
}

func (d *bind) leave(s *statement, why string) {
	d.put(s.place(), LeftOut, "%s", why)
	for _, in := range s.body {
		d.put(in.place(), LeftOut, "is part of %s, which is left out", clip(s.name(0)))
		for _, deeper := range in.body {
			d.leave(deeper, "is part of a statement that is left out")
		}
	}
}

// leaf adds an item for a statement that takes no block. A block that it has is left out.
func (d *bind) leaf(s *statement, o Outcome, format string, args ...any) {
	d.put(s.place(), o, format, args...)
	for _, in := range s.body {
		d.leave(in, "is part of a statement that takes no block; correct it")
	}
}

// option translates an option of the server. Its forwarders are asked for names outside the site.
func (d *bind) option(s *statement) {
	switch s.word(0) {
	case "directory":
		d.leaf(s, Taken, "the directory of zone files")
	case "forwarders":
		var list []string
		d.put(s.place(), Taken, "setting %s", setting.UpstreamDNS)
		for _, f := range s.body {
			if addr, err := netip.ParseAddr(f.name(0)); err != nil {
				d.leaf(f, LeftOut, "is not the address of a server; correct it")
			} else if len(f.words) > 1 && f.word(2) != "53" {
				d.leaf(f, LeftOut, "upstream servers have port 53; ask another one")
			} else {
				d.leaf(f, Taken, "upstream server")
				list = append(list, addr.String())
			}
		}
		if len(list) > 0 {
			d.addSetting(setting.UpstreamDNS, strings.Join(list, " "))
		}
	case "allow-query", "allow-recursion", "allow-query-cache":
		d.leave(s, "clients of the site's subnets are answered; see setting dns_trusted_acl for others")
	case "allow-transfer":
		d.leave(s, "set it for the site or a domain: dns_transfer, or allow_transfer of the domain")
	default:
		d.leave(s, "belongs to the server program, not to the site")
	}
}

// zone translates a zone by its type.
func (d *bind) zone(s *statement) error {
	name := strings.ToLower(strings.TrimSuffix(s.name(1), "."))
	is := entry(s)
	kind := is["type"].last()
	switch {
	case len(s.words) > 2 && !s.words[2].is("in"):
		d.leave(s, "zones of another class than IN have no counterpart")
	case name == "localhost" || name == "localdomain" || strings.HasSuffix(name, "127.in-addr.arpa") || name == "0.in-addr.arpa" || name == "255.in-addr.arpa" ||
		strings.HasPrefix(name, "1.0.0.0.0.") && strings.HasSuffix(name, "ip6.arpa"):
		d.leave(s, "names of a host itself are not names of the site")
	case d.zones[name]:
		d.leave(s, "the zone is there already")
	case kind == "forward":
		d.zones[name] = true
		d.forwarded(s, name)
	case kind == "master" || kind == "primary":
		d.zones[name] = true
		return d.primary(s, name, is["file"])
	case kind == "slave" || kind == "secondary" || kind == "mirror":
		d.leave(s, "its primary has the records: import the zone from there, or declare an external domain that asks it")
	default:
		d.leave(s, "has no counterpart: the site has its own domains, and asks upstream_dns for others")
	}
	return nil
}

// forwarded translates a zone whose questions other servers are asked.
func (d *bind) forwarded(s *statement, name string) {
	at := d.put(s.place(), LeftOut, "has no server; add forwarders")
	for _, o := range s.body {
		if o.word(0) != "forwarders" {
			d.leaf(o, Taken, "part of the domain")
			continue
		}
		d.put(o.place(), Taken, "servers of the domain")
		for _, f := range o.body {
			addr, err := netip.ParseAddr(f.name(0))
			to := netip.AddrPortFrom(addr, 53)
			if f.word(1) == "port" && err == nil {
				var port uint64
				port, err = strconv.ParseUint(f.word(2), 10, 16)
				to = netip.AddrPortFrom(addr, uint16(port))
			}
			why := ""
			if err != nil {
				why = "is not the address of a server; correct it"
			} else {
				why = d.addForward(name, to)
			}
			if why != "" {
				d.leaf(f, LeftOut, "%s", why)
				continue
			}
			d.leaf(f, Taken, "server of domain %s", name)
			d.settle(at, Taken, "domain %s, which other servers have", name)
		}
	}
}

// primary translates a zone with its file.
func (d *bind) primary(s *statement, name string, file *statement) error {
	if file == nil {
		d.leave(s, "has no file; add one")
		return nil
	}
	isReverse := strings.HasSuffix(name, ".arpa")
	why := ""
	if !isReverse {
		_, why = d.addDomain(name)
	}
	if why != "" {
		d.leave(s, why)
		return nil
	}
	if isReverse {
		d.put(s.place(), Taken, "racks answer for the reverse zones of subnets")
	} else {
		d.put(s.place(), Taken, "domain %s", name)
	}
	for _, o := range s.body {
		switch o.word(0) {
		case "type", "file":
			d.leaf(o, Taken, "part of the zone")
		case "allow-transfer", "also-notify":
			d.domainList(o, name, isReverse)
		case "allow-update", "update-policy":
			d.leave(o, "keys are not in a site document; make one with maas tsigkey and name it in allow_update of the domain")
		case "notify", "allow-query", "zone-statistics", "check-names":
			d.leave(o, "belongs to the server program, not to the site")
		default:
			d.leave(o, "has no counterpart; see dnssec of the domain for keys")
		}
	}
	at := file.place()
	// Files are relative to the directory of the options, by default to where named runs.
	where := file.name(1)
	if !path.IsAbs(where) {
		where = path.Join(d.dir, where)
	}
	if _, err := fs.Stat(d.src.fsys, clean(where)); err != nil {
		return absent(at, err)
	}
	return d.zoneFile(clean(where), name)
}

// domainList translates the networks that may transfer a zone, and the servers that are notified.
func (d *bind) domainList(s *statement, name string, isReverse bool) {
	if isReverse {
		d.leave(s, "reverse zones follow the settings of the site: dns_transfer and dns_notify")
		return
	}
	d.put(s.place(), Taken, "part of domain %s", name)
	doc := d.domainDoc(name)
	for _, e := range s.body {
		text := e.name(0)
		addr, err := netip.ParseAddr(text)
		p, notPrefix := netip.ParsePrefix(text)
		switch {
		case text == "none":
			d.leaf(e, Taken, "nothing is allowed beside the site's settings")
		case s.word(0) == "also-notify" && err == nil && len(e.words) == 1:
			doc.Notify = append(doc.Notify, netip.AddrPortFrom(addr, 53).String())
			d.leaf(e, Taken, "notify of domain %s", name)
		case s.word(0) == "allow-transfer" && err == nil:
			doc.AllowTransfer = append(doc.AllowTransfer, netip.PrefixFrom(addr, addr.BitLen()).String())
			d.leaf(e, Taken, "allow_transfer of domain %s", name)
		case s.word(0) == "allow-transfer" && notPrefix == nil:
			doc.AllowTransfer = append(doc.AllowTransfer, p.Masked().String())
			d.leaf(e, Taken, "allow_transfer of domain %s", name)
		default:
			d.leaf(e, LeftOut, "names of lists and keys are not known here; write the addresses, or make a key with maas tsigkey")
		}
	}
}

package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// A Member is a zone that a catalog lists.
type Member struct {
	Zone string // case and a final dot do not matter
	// ID is a label that is unique in the catalog. With another one the zone starts anew at
	// secondaries. If empty, it is made of the zone's name.
	ID     string
	Groups []string // names of configurations that secondaries apply; what they mean is the secondary's affair
	// COO is the catalog that may take the zone over (change of ownership); "" = none.
	COO string
}

// version is the only version of the schema (RFC 9432 section 4.2.1).
const version = "2"

// normal returns the member in one spelling.
func (m Member) normal() (Member, error) {
	zone, ok := name(m.Zone)
	if !ok {
		return m, fmt.Errorf("catalog: zone: %q is not a domain name", m.Zone)
	}
	m.Zone = zone
	if m.COO != "" {
		if m.COO, ok = name(m.COO); !ok {
			return m, fmt.Errorf("catalog: zone %s: coo: %q is not a domain name", m.Zone, m.COO)
		}
	}
	if m.ID == "" {
		sum := sha256.Sum256([]byte(m.Zone))
		m.ID = hex.EncodeToString(sum[:10])
	}
	m.ID = strings.ToLower(m.ID)
	if labels, ok := dns.IsDomainName(m.ID); !ok || labels != 1 || m.ID == "*" || strings.HasSuffix(m.ID, ".") {
		return m, fmt.Errorf("catalog: zone %s: ID: %q is not one label", m.Zone, m.ID)
	}
	slices.Sort(m.Groups)
	m.Groups = slices.Compact(m.Groups)
	return m, nil
}

// equal reports whether two members differ in nothing.
func (m Member) equal(o Member) bool {
	return m.Zone == o.Zone && m.ID == o.ID && m.COO == o.COO && slices.Equal(m.Groups, o.Groups)
}

// name returns a domain name as it is compared: in lower case with a final dot.
func name(text string) (string, bool) {
	c := dns.CanonicalName(text)
	_, ok := dns.IsDomainName(c)
	return c, ok && c != "."
}

// Change returns the change that makes a server's zone a catalog of members. Before are the members
// that it had. The error names the member.
func Change(catalog string, before, members []Member) (dnssrv.Change, error) {
	apex, ok := name(catalog)
	if !ok {
		return dnssrv.Change{}, fmt.Errorf("catalog: %q is not a domain name", catalog)
	}
	old, err := sets(apex, before)
	if err != nil {
		return dnssrv.Change{}, err
	}
	now, err := sets(apex, members)
	if err != nil {
		return dnssrv.Change{}, err
	}
	// No server answers questions about a catalog (RFC 9432 section 4.1).
	out := dnssrv.Change{Zones: []dnssrv.Zone{{Name: apex, NS: []string{"invalid."}, Contact: "invalid@invalid"}}}
	for _, at := range slices.Sorted(maps.Keys(old)) {
		if _, stays := now[at]; !stays {
			gone := old[at]
			gone.Data = nil
			out.Set = append(out.Set, gone)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(now)) {
		out.Set = append(out.Set, now[at])
	}
	return out, nil
}

// sets returns the records of a catalog by owner.
func sets(apex string, members []Member) (map[string]dnssrv.RRset, error) {
	out := map[string]dnssrv.RRset{}
	put := func(owner, qtype string, data ...string) {
		out[owner+qtype] = dnssrv.RRset{Name: owner, Type: qtype, Data: data}
	}
	put("version."+apex, "TXT", strconv.Quote(version))
	zones := map[string]bool{}
	for _, m := range members {
		m, err := m.normal()
		if err != nil {
			return nil, err
		}
		owner := m.ID + ".zones." + apex
		if _, taken := out[owner+"PTR"]; taken || zones[m.Zone] {
			return nil, fmt.Errorf("catalog: zone %s: the zone or its ID %q is listed twice", m.Zone, m.ID)
		}
		zones[m.Zone] = true
		put(owner, "PTR", m.Zone)
		if m.COO != "" {
			put("coo."+owner, "PTR", m.COO)
		}
		if len(m.Groups) > 0 {
			var texts []string
			for _, g := range m.Groups {
				texts = append(texts, `"`+escaped(g)+`"`)
			}
			put("group."+owner, "TXT", texts...)
		}
	}
	return out, nil
}

// escaped spells a text as the presentation form of a string has it, without quotes.
func escaped(text string) string {
	var out strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, "\\%03d", c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// Parse reads the members of a catalog from the records of its zone, in order of their zones. The
// error says what makes it broken, so that none of it may be used (RFC 9432 section 4.1).
func Parse(catalog string, records []dnssrv.RRset) ([]Member, error) {
	apex, ok := name(catalog)
	if !ok {
		return nil, fmt.Errorf("catalog: %q is not a domain name", catalog)
	}
	p := parser{apex: apex, members: map[string]*Member{}}
	for _, s := range records {
		if err := p.set(s); err != nil {
			return nil, err
		}
	}
	return p.result()
}

// parser collects what the records say, which arrive in any order.
type parser struct {
	apex    string
	version bool
	members map[string]*Member // by ID
}

func (p *parser) broken(format string, args ...any) error {
	return fmt.Errorf("catalog %s is broken: %w", p.apex, fmt.Errorf(format, args...))
}

func (p *parser) set(s dnssrv.RRset) error {
	owner, qtype := dns.CanonicalName(s.Name), strings.ToUpper(s.Type)
	if owner == "version."+p.apex && qtype == "TXT" {
		texts, ok := texts(s.Data)
		if !ok || len(texts) != 1 || texts[0] != version {
			return p.broken("its version is %q, and this is for version %s", s.Data, version)
		}
		p.version = true
		return nil
	}
	below, ok := strings.CutSuffix(owner, ".zones."+p.apex)
	if !ok {
		return nil
	}
	labels := dns.SplitDomainName(below)
	switch {
	case len(labels) == 1 && qtype == "PTR":
		if len(s.Data) != 1 {
			return p.broken("%s lists %d zones in one place", owner, len(s.Data))
		}
		zone, ok := name(s.Data[0])
		if !ok || zone == p.apex {
			return p.broken("%s lists %q", owner, s.Data[0])
		}
		p.member(labels[0]).Zone = zone
	case len(labels) == 2 && labels[0] == "coo" && qtype == "PTR":
		if len(s.Data) != 1 {
			return p.broken("%s names %d catalogs", owner, len(s.Data))
		}
		if coo, ok := name(s.Data[0]); ok {
			p.member(labels[1]).COO = coo
		}
	case len(labels) == 2 && labels[0] == "group" && qtype == "TXT":
		groups, ok := texts(s.Data)
		if !ok {
			return p.broken("%s is not text", owner)
		}
		p.member(labels[1]).Groups = groups
	}
	return nil // other properties are of other servers (RFC 9432 section 4.4)
}

func (p *parser) member(id string) *Member {
	if p.members[id] == nil {
		p.members[id] = &Member{ID: id}
	}
	return p.members[id]
}

func (p *parser) result() ([]Member, error) {
	if !p.version {
		return nil, p.broken("it has no version; add version.%s TXT %q", p.apex, version)
	}
	var out []Member
	seen := map[string]bool{}
	for _, m := range p.members {
		if m.Zone == "" {
			continue // properties of a zone that is not listed
		}
		if seen[m.Zone] {
			return nil, p.broken("it lists %s twice", m.Zone)
		}
		seen[m.Zone] = true
		slices.Sort(m.Groups)
		m.Groups = slices.Compact(m.Groups)
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Zone, b.Zone) })
	return out, nil
}

// texts reads TXT records of one string each.
func texts(data []string) (out []string, ok bool) {
	for _, d := range data {
		if strings.ContainsAny(d, "\r\n") {
			return nil, false
		}
		rr, err := dns.NewRR(". 0 IN TXT " + d)
		txt, is := rr.(*dns.TXT)
		if err != nil || !is || len(txt.Txt) != 1 {
			return nil, false
		}
		out = append(out, unescaped(txt.Txt[0]))
	}
	return out, true
}

// unescaped reads what escaped wrote.
func unescaped(text string) string {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out = append(out, text[i])
			continue
		}
		if i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 10, 8); err == nil {
				out, i = append(out, byte(n)), i+3
				continue
			}
		}
		i++
		out = append(out, text[i])
	}
	return string(out)
}

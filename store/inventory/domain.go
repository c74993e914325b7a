package inventory

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Domain is a DNS domain that machines' names are in.
type Domain struct {
	ID      int64
	Version int64  // counts changes; an update must carry the one that was read
	Name    string // unique, in lower case, without a final dot
	// External domains are served by other servers: no zone is made here.
	External bool
	TTL      int // of its records, in seconds; 0 = the site's default
	// Forward are the servers that resolve the names of an External domain; nil = the servers of
	// all other names.
	Forward []netip.AddrPort
	// AllowTransfer lists networks and names of TSIG keys that may transfer the zone, in addition
	// to setting.DNSTransfer.
	AllowTransfer []string
	// Notify lists secondaries that are notified of each change of the zone, in addition to
	// setting.DNSNotify.
	Notify []netip.AddrPort
	// AllowUpdate lists the rights to change the domain's records by dynamic updates. Subdomains of
	// reverse zones cannot have any.
	AllowUpdate []UpdateGrant
	// Signed domains are answered with DNSSEC signatures; see [Inventory.SigningKey].
	Signed bool
	// Racks are those that serve the zone and hold its keys; nil = all racks of the site. The
	// others forward questions about it to these.
	Racks []string
	// KeyNumber counts the replacements of the signing key; see [Enrolment.Rotate].
	KeyNumber int64
}

var domains = table[Domain]{
	kind: kinds.Domain, name: "domain", cols: []string{"name", "external", "ttl", "forward", "signed", "allow_transfer", "notify", "allow_update", "racks", "key_number"},
	id: func(d *Domain) *int64 { return &d.ID }, version: func(d *Domain) *int64 { return &d.Version },
	label: func(d *Domain) string { return d.Name },
	fields: func(d *Domain) []any {
		return []any{
			&d.Name, &d.External, &d.TTL, asJSON{&d.Forward}, &d.Signed, asJSON{&d.AllowTransfer}, asJSON{&d.Notify}, asJSON{&d.AllowUpdate}, asJSON{&d.Racks}, &d.KeyNumber,
		}
	},
}

// Keys returns the names of the TSIG keys in a domain's lists.
func (d *Domain) Keys() []string {
	_, keys := SplitTransfer(d.AllowTransfer)
	for _, g := range d.AllowUpdate {
		keys = append(keys, g.Key)
	}
	return keys
}

// checkAccess brings who may do what with a domain's zone into its canonical form, and checks it.
func checkAccess(ctx context.Context, tx *store.Tx, d *Domain) error {
	if d.External && len(d.AllowTransfer)+len(d.Notify)+len(d.AllowUpdate) > 0 {
		return invalid(kinds.Domain, d.Name, "allow_transfer", "is for domains that are authoritative, as are notify and allow_update")
	}
	_, keys := SplitTransfer(d.AllowTransfer)
	if err := checkKeys(ctx, tx, kinds.Domain, d.Name, "allow_transfer", keys); err != nil {
		return err
	}
	d.AllowTransfer = CanonicalTransfer(d.AllowTransfer)
	for _, s := range d.Notify {
		if !s.IsValid() || s.Port() == 0 || s.Addr().IsUnspecified() {
			return invalid(kinds.Domain, d.Name, "notify", s.String()+" is not the address and port of a server")
		}
	}
	for i := range d.AllowUpdate {
		g := &d.AllowUpdate[i]
		if err := checkKeys(ctx, tx, kinds.Domain, d.Name, "allow_update", []string{g.Key}); err != nil {
			return err
		}
		if !ownerName.MatchString(g.Name) {
			return invalid(kinds.Domain, d.Name, "allow_update", g.String()+": "+g.Name+" is not a name relative to the domain")
		}
		for _, t := range g.Types {
			if !slices.Contains(recordTypes, t) {
				return invalid(kinds.Domain, d.Name, "allow_update", g.String()+": "+t+" is not one of "+strings.Join(recordTypes, ", "))
			}
		}
	}
	return nil
}

// domainRules: machines in a domain change their names with it. A domain is deleted with its
// records, unless machines are in it.
func (inv *Inventory) domainRules() rules[Domain] {
	return rules[Domain]{
		check: func(ctx context.Context, tx *store.Tx, d, _ *Domain) (err error) {
			if d.Name, err = DomainName(d.Name); err != nil {
				return err
			}
			if err := d.check(len(inv.zoneSecret) > 0); err != nil {
				return err
			}
			if err := checkDomainRacks(d); err != nil {
				return err
			}
			return checkAccess(ctx, tx, d)
		},
		unique: func(d *Domain) string { return "name " + d.Name },
		key:    "name",
		keep:   keepDomain,
	}
}

// checkDomainRacks sorts the racks of a domain. A rack that is not enrolled yet may be named: until
// it is, the others serve the zone.
func checkDomainRacks(d *Domain) error {
	if d.External && len(d.Racks) > 0 {
		return invalid(kinds.Domain, d.Name, "racks", "are for domains that are authoritative")
	}
	for _, name := range d.Racks {
		if err := needName(kinds.Rack, name); err != nil {
			return err
		}
	}
	slices.Sort(d.Racks)
	d.Racks = slices.Compact(d.Racks)
	return nil
}

// ServedBy reports whether a rack serves the domain's zone.
func (d *Domain) ServedBy(rack string) bool {
	return !d.External && (len(d.Racks) == 0 || slices.Contains(d.Racks, rack))
}

func keepDomain(ctx context.Context, tx *store.Tx, d *Domain) error {
	if _, err := domains.keepFirst(ctx, tx, d, "it is the default domain"); err != nil {
		return err
	}
	by, err := namesOf(ctx, tx, "machine ", "SELECT hostname FROM node WHERE domain_id = ? ORDER BY hostname", d.ID)
	if err != nil {
		return err
	}
	if err := inUse(kinds.Domain, d.Name, "move them to another domain first", by); err != nil {
		return err
	}
	return records.deleteWhere(ctx, tx, "domain_id = ?", d.ID)
}

// check refuses what contradicts itself. Signed zones need a key of the site's secrets.
func (d *Domain) check(hasKey bool) error {
	wrong := func(field, why string) error { return invalid(kinds.Domain, d.Name, field, why) }
	switch {
	case d.TTL < 0 || d.TTL > math.MaxInt32:
		return wrong("ttl", "must be from 0 to 2147483647 seconds")
	case d.Signed && d.External:
		return wrong("dnssec", "is for domains that are authoritative")
	case d.Signed && !hasKey:
		return wrong("dnssec", "takes a key of secrets, from which those of zones are made")
	case len(d.Forward) > 0 && !d.External:
		return wrong("forward_dns_servers", "are for domains that are not authoritative")
	}
	for _, s := range d.Forward {
		if !s.IsValid() || s.Port() == 0 || s.Addr().IsUnspecified() {
			return wrong("forward_dns_servers", s.String()+" is not the address and port of a server")
		}
	}
	return nil
}

// UpdateGrant lets the holder of a TSIG key change records of a domain by dynamic updates. Its text
// is KEY, KEY:NAME or KEY:NAME:TYPE+TYPE. For reverse records the domain is one with the name of a
// subnet's reverse zone, such as "2.0.192.in-addr.arpa".
type UpdateGrant struct {
	Key   string
	Name  string   // relative to the domain, at and below which records may be changed; "@" = the domain itself
	Types []string // none = all
}

// MarshalText writes the shortest form.
func (g UpdateGrant) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

func (g UpdateGrant) String() string {
	switch {
	case len(g.Types) > 0:
		return g.Key + ":" + g.Name + ":" + strings.Join(g.Types, "+")
	case g.Name != "@":
		return g.Key + ":" + g.Name
	}
	return g.Key
}

// UnmarshalText reads any form. What the parts say is not checked.
func (g *UpdateGrant) UnmarshalText(text []byte) error {
	key, rest, _ := strings.Cut(string(text), ":")
	name, types, _ := strings.Cut(rest, ":")
	*g = UpdateGrant{Key: canonicalKey(key), Name: strings.ToLower(strings.TrimSuffix(name, "."))}
	if g.Name == "" {
		g.Name = "@"
	}
	if types != "" {
		g.Types = strings.Split(strings.ToUpper(types), "+")
	}
	return nil
}

func canonicalKey(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// SplitTransfer are the networks and the names of keys of a list that has both.
func SplitTransfer(list []string) (networks []netip.Prefix, keys []string) {
	for _, text := range list {
		if p, ok := parseNetwork(text); ok {
			networks = append(networks, p)
		} else {
			keys = append(keys, canonicalKey(text))
		}
	}
	return networks, keys
}

// CanonicalTransfer is a list of who may transfer a domain in the form in which it is stored: first
// the names of keys, then the networks.
func CanonicalTransfer(list []string) []string {
	networks, out := SplitTransfer(list)
	for _, p := range networks {
		out = append(out, p.String())
	}
	return out
}

// AbsoluteName is a name relative to a domain with that behind it.
func AbsoluteName(name, domain string) string {
	if name == "@" {
		return domain
	}
	return name + "." + domain
}

package inventory

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store"
)

// UpdateGrant lets the holder of a TSIG key change records of a domain by dynamic updates. Its text is KEY, KEY:NAME or
// KEY:NAME:TYPE+TYPE. For reverse records the domain is one with the name of a subnet's reverse zone, such as
// "2.0.192.in-addr.arpa".
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

// transferers are the networks and the names of keys of a list that has both.
func transferers(list []string) (networks []netip.Prefix, keys []string) {
	for _, text := range list {
		if p, ok := parseNetwork(text); ok {
			networks = append(networks, p)
		} else {
			keys = append(keys, canonicalKey(text))
		}
	}
	return networks, keys
}

// CanonicalTransfer is a list of who may transfer a domain in the form in which it is stored: first the names of keys, then the
// networks.
func CanonicalTransfer(list []string) []string {
	networks, out := transferers(list)
	for _, p := range networks {
		out = append(out, p.String())
	}
	return out
}

// keys are the names of keys that a domain's lists have.
func (d *Domain) keys() []string {
	_, keys := transferers(d.AllowTransfer)
	for _, g := range d.AllowUpdate {
		keys = append(keys, g.Key)
	}
	return keys
}

// checkAccess brings who may do what with a domain's zone into its canonical form, and checks it.
func checkAccess(ctx context.Context, tx *store.Tx, d *Domain) error {
	if d.External && len(d.AllowTransfer)+len(d.Notify)+len(d.AllowUpdate) > 0 {
		return invalid(KindDomain, d.Name, "allow_transfer", "is for domains that are authoritative, as are notify and allow_update")
	}
	_, keys := transferers(d.AllowTransfer)
	if err := checkKeys(ctx, tx, KindDomain, d.Name, "allow_transfer", keys); err != nil {
		return err
	}
	d.AllowTransfer = CanonicalTransfer(d.AllowTransfer)
	for _, s := range d.Notify {
		if !s.IsValid() || s.Port() == 0 || s.Addr().IsUnspecified() {
			return invalid(KindDomain, d.Name, "notify", s.String()+" is not the address and port of a server")
		}
	}
	for i := range d.AllowUpdate {
		g := &d.AllowUpdate[i]
		if err := checkKeys(ctx, tx, KindDomain, d.Name, "allow_update", []string{g.Key}); err != nil {
			return err
		}
		if !ownerName.MatchString(g.Name) {
			return invalid(KindDomain, d.Name, "allow_update", g.String()+": "+g.Name+" is not a name relative to the domain")
		}
		for _, t := range g.Types {
			if !slices.Contains(recordTypes, t) {
				return invalid(KindDomain, d.Name, "allow_update", g.String()+": "+t+" is not one of "+strings.Join(recordTypes, ", "))
			}
		}
	}
	return nil
}

// dnsAccess is what other servers, and holders of keys, may do. The keys are added by DNSKeys.
func (m *Model) dnsAccess() dnssrv.Access {
	out := dnssrv.Access{Notify: m.servers(SettingDNSNotify)}
	out.Transfer, out.TransferKeys = transferers(m.list(SettingDNSTransfer))
	for _, d := range m.Domains {
		if d.External {
			continue
		}
		if len(d.AllowTransfer)+len(d.Notify) > 0 {
			z := dnssrv.ZoneAccess{Zone: d.Name, Notify: d.Notify}
			z.Transfer, z.TransferKeys = transferers(d.AllowTransfer)
			out.Zones = append(out.Zones, z)
		}
		for _, g := range d.AllowUpdate {
			out.Update = append(out.Update, dnssrv.UpdateRule{Key: g.Key, Zone: d.Name, Below: absolute(g.Name, d.Name), Types: g.Types})
		}
	}
	return out
}

// absolute is a name relative to a domain with that behind it.
func absolute(name, domain string) string {
	if name == "@" {
		return domain
	}
	return name + "." + domain
}

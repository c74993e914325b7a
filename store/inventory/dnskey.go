package inventory

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// TSIGKey is a secret that the site's DNS servers share with a secondary, or with who may change
// records.
type TSIGKey struct {
	ID        int64
	Name      string // unique; a domain name, in lower case, without a final dot
	Algorithm string // "hmac-sha256", "hmac-sha384" or "hmac-sha512"; "" = the first
	Created   time.Time
	// Secret is base64. It is returned by TSIGKeys.Create alone, and however it is printed, only
	// stars appear.
	Secret dnssrv.KeySecret

	sealed []byte
}

var tsigKeys = table[TSIGKey]{
	kind: kinds.TSIGKey, name: "tsig_key", cols: []string{"name", "algorithm", "sealed", "created"},
	id:     func(k *TSIGKey) *int64 { return &k.ID },
	fields: func(k *TSIGKey) []any { return []any{&k.Name, &k.Algorithm, &k.sealed, asTime{&k.Created}} },
}

// keyOwner is the owner that a key's secret is sealed for.
func keyOwner(name string) string { return "tsig " + name }

// usersOfKey are the domains and settings that name a key.
func usersOfKey(ctx context.Context, tx *store.Tx, name string) (by []string, err error) {
	all, err := domains.list(ctx, tx, "")
	for _, d := range all {
		if slices.Contains(d.Keys(), name) {
			by = append(by, "domain "+d.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	rows, err := settings.list(ctx, tx, "")
	for _, s := range rows {
		if slices.Contains(keysOf(s.name, s.value), name) {
			by = append(by, "setting "+s.name)
		}
	}
	slices.Sort(by)
	return by, err
}

// checkKeys refuses names of keys that are not there.
func checkKeys(ctx context.Context, tx *store.Tx, kind, of, field string, names []string) error {
	for _, name := range names {
		_, err := tsigKeys.one(ctx, tx, name, "name = ?", name)
		switch {
		case notFound(err):
			return invalid(kind, of, field, fmt.Sprintf("names %q, which is neither a network nor a TSIG key; make the key first", name))
		case err != nil:
			return err
		}
	}
	return nil
}

// DNSKeys returns the keys of a model with their secrets. Only DNS servers may get them.
func (inv *Inventory) DNSKeys(m *Model) ([]dnssrv.Key, error) {
	var out []dnssrv.Key
	for _, k := range m.TSIGKeys {
		secret, err := inv.seal.Open(k.sealed, keyOwner(k.Name))
		if err != nil {
			return nil, fmt.Errorf("TSIG key %s: %w", k.Name, err)
		}
		out = append(out, dnssrv.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: dnssrv.KeySecret(secret)})
	}
	return out, nil
}

// tsigKeyRules: a key without a secret gets a random one, which Create alone returns. A key that a
// list names stays, and so does its secret: its users would have to learn another one at the same
// time.
func (inv *Inventory) tsigKeyRules() rules[TSIGKey] {
	return rules[TSIGKey]{
		check: func(_ context.Context, _ *store.Tx, k, old *TSIGKey) error {
			if old != nil {
				return invalid(kinds.TSIGKey, old.Name, "name", "cannot be changed; make another key")
			}
			return inv.prepareKey(k)
		},
		unique: func(k *TSIGKey) string { return "name " + k.Name },
		key:    "name",
		keep: func(ctx context.Context, tx *store.Tx, k *TSIGKey) error {
			by, err := usersOfKey(ctx, tx, k.Name)
			if err != nil {
				return err
			}
			return inUse(kinds.TSIGKey, k.Name, "take it out of their lists first", by)
		},
	}
}

func (inv *Inventory) prepareKey(k *TSIGKey) error {
	name, err := DomainName(k.Name)
	if err != nil {
		return invalid(kinds.TSIGKey, k.Name, "name", "must be a name like that of a domain")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return invalid(kinds.TSIGKey, name, "name", "must not be an address: lists have both")
	}
	k.Name, k.Created = name, time.Now()
	k.Algorithm = cmp.Or(strings.ToLower(strings.TrimSpace(k.Algorithm)), "hmac-sha256")
	// The default is the only algorithm that RFC 8945 section 6 makes mandatory and recommends.
	key := dnssrv.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: k.Secret}
	if k.Secret == "" {
		key, err = dnssrv.NewKey(k.Name, k.Algorithm)
	} else {
		err = key.Check()
	}
	if err != nil {
		return invalid(kinds.TSIGKey, name, "secret", strings.TrimPrefix(err.Error(), "dnssrv: key "+name+": "))
	}
	k.Secret, k.sealed = key.Secret, inv.seal.Close([]byte(key.Secret), keyOwner(name))
	return nil
}

// SigningKey returns the key that a domain's zone is signed with; "" if it is not signed. It
// follows from the key of secrets, so a restored site signs as it did, and nothing more is kept: a
// zone of the same name has the same key for as long as that and the domain's KeyNumber are the
// same.
func (inv *Inventory) SigningKey(d Domain) dnssrv.SigningKey {
	if !d.Signed || len(inv.zoneSecret) == 0 {
		return ""
	}
	label := d.Name
	if d.KeyNumber > 0 {
		label = fmt.Sprintf("%s/%d", d.Name, d.KeyNumber) // no name of a domain has a slash
	}
	return dnssrv.DeriveSigningKey(inv.zoneSecret, label)
}

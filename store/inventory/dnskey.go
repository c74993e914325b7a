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
)

// TSIGKey is a secret that the site's DNS servers share with a secondary, or with who may change records.
type TSIGKey struct {
	ID        int64
	Name      string // unique; a domain name, in lower case, without a final dot
	Algorithm string // "hmac-sha256", "hmac-sha384" or "hmac-sha512"; "" = the first
	Created   time.Time
	// Secret is base64. It is read back by CreateTSIGKey alone, and however it is printed, only stars appear.
	Secret dnssrv.KeySecret

	sealed []byte
}

var tsigKeys = table[TSIGKey]{
	kind: KindTSIGKey, name: "tsig_key", cols: []string{"name", "algorithm", "sealed", "created"},
	id:     func(k *TSIGKey) *int64 { return &k.ID },
	fields: func(k *TSIGKey) []any { return []any{&k.Name, &k.Algorithm, &k.sealed, asTime{&k.Created}} },
}

// CreateTSIGKey adds a key, with a secret of random if it has none, and returns it with its secret, which cannot be read again.
func (inv *Inventory) CreateTSIGKey(ctx context.Context, k TSIGKey) (TSIGKey, error) {
	name, err := DomainName(k.Name)
	if err != nil {
		return k, invalid(KindTSIGKey, k.Name, "name", "must be a name like that of a domain")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return k, invalid(KindTSIGKey, name, "name", "must not be an address: lists have both")
	}
	k.ID, k.Name, k.Created = 0, name, time.Now()
	k.Algorithm = cmp.Or(strings.ToLower(strings.TrimSpace(k.Algorithm)), "hmac-sha256")
	key := dnssrv.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: k.Secret}
	if k.Secret == "" {
		key, err = dnssrv.NewKey(k.Name, k.Algorithm)
	} else {
		err = key.Check()
	}
	if err != nil {
		return k, invalid(KindTSIGKey, name, "secret", strings.TrimPrefix(err.Error(), "dnssrv: key "+name+": "))
	}
	k.Secret, k.sealed = key.Secret, inv.seal.Close([]byte(key.Secret), keyOwner(name))
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return taken(tsigKeys.insert(ctx, tx, &k), KindTSIGKey, "name "+name)
	})
	return k, err
}

// keyOwner is what a key's secret is sealed for.
func keyOwner(name string) string { return "tsig " + name }

// TSIGKeys lists the keys, without their secrets.
func (inv *Inventory) TSIGKeys(ctx context.Context) ([]TSIGKey, error) {
	return listIn(ctx, inv, tsigKeys, "")
}

// TSIGKey returns a key by ID, without its secret.
func (inv *Inventory) TSIGKey(ctx context.Context, id int64) (TSIGKey, error) {
	return getIn(ctx, inv, tsigKeys, id)
}

// DeleteTSIGKey deletes a key that nothing names any more.
func (inv *Inventory) DeleteTSIGKey(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		k, err := tsigKeys.get(ctx, tx, id)
		if err != nil {
			return err
		}
		by, err := usersOfKey(ctx, tx, k.Name)
		if err != nil {
			return err
		}
		if err := inUse(KindTSIGKey, k.Name, "take it out of their lists first", by); err != nil {
			return err
		}
		return tsigKeys.delete(ctx, tx, id)
	})
}

// usersOfKey are the domains and settings that name a key.
func usersOfKey(ctx context.Context, tx *store.Tx, name string) (by []string, err error) {
	all, err := domains.list(ctx, tx, "")
	for _, d := range all {
		if slices.Contains(d.keys(), name) {
			by = append(by, "domain "+d.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	s, err := settings.one(ctx, tx, SettingDNSTransfer, "name = ?", SettingDNSTransfer)
	if notFound(err) {
		return by, nil
	}
	if _, keys := SplitTransfer(elements(s.value)); slices.Contains(keys, name) {
		by = append(by, "setting "+SettingDNSTransfer)
	}
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

// DNSKeys returns the keys of a model with their secrets: what to give to DNS servers, and to nobody else.
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

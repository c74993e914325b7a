package inventory

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/gomaas/maas/dnssrv"
)

// zoneSecretOf is what the keys of zones are made of. It follows from the key
// of secrets, so a restored site signs as it did, and nothing more is kept.
func zoneSecretOf(key []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, "gomaas DNSSEC zones", sha256.Size)
}

// SigningKey returns the key that a domain's zone is signed with; "" if it is
// not signed. A zone of the same name has the same key for as long as the
// site's key of secrets is the same.
func (inv *Inventory) SigningKey(d Domain) dnssrv.SigningKey {
	if !d.Signed || len(inv.zoneSecret) == 0 {
		return ""
	}
	return dnssrv.DeriveSigningKey(inv.zoneSecret, d.Name)
}

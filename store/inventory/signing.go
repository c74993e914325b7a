package inventory

import "github.com/gomaas/maas/dnssrv"

// SigningKey returns the key that a domain's zone is signed with; "" if it is
// not signed. It follows from the key of secrets, so a restored site signs as
// it did, and nothing more is kept: a zone of the same name has the same key
// for as long as that is the same.
func (inv *Inventory) SigningKey(d Domain) dnssrv.SigningKey {
	if !d.Signed || len(inv.zoneSecret) == 0 {
		return ""
	}
	return dnssrv.DeriveSigningKey(inv.zoneSecret, d.Name)
}

package maasapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store/inventory"
)

// TSIGKey is a key for transfers and updates of zones as the API shows it. MAAS has no such thing.
type TSIGKey struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Algorithm string    `json:"algorithm"`
	Created   time.Time `json:"created"`
	// Secret is there only when the key is made.
	Secret      string `json:"secret,omitempty"`
	ResourceURI string `json:"resource_uri"`
}

func (a *API) tsigKeys() crud[inventory.TSIGKey] {
	return crud[inventory.TSIGKey]{
		inv: a.inv, all: every(a.inv.TSIGKeys), find: numbered(a.inv.TSIGKey), show: each(showTSIGKey),
		read: func(_ *http.Request, f *form, to *inventory.TSIGKey) {
			f.text("name", &to.Name)
			f.text("algorithm", &to.Algorithm)
			if f.has("secret") {
				to.Secret = dnssrv.KeySecret(f.get("secret"))
			}
		},
		create: a.inv.CreateTSIGKey,
		remove: removing(a.inv.DeleteTSIGKey, func(k inventory.TSIGKey) int64 { return k.ID }),
	}
}

func showTSIGKey(k inventory.TSIGKey) any {
	return TSIGKey{
		ID: k.ID, Name: k.Name, Algorithm: k.Algorithm, Created: k.Created, Secret: string(k.Secret),
		ResourceURI: fmt.Sprintf("%stsigkeys/%d/", base, k.ID),
	}
}

// access reads who may do what with a domain's zone.
func (f *form) access(to *inventory.Domain) {
	if f.has("allow_transfer") {
		to.AllowTransfer = f.list("allow_transfer")
	}
	if f.has("notify") {
		to.Notify = f.servers("notify")
	}
	if !f.has("allow_update") {
		return
	}
	to.AllowUpdate = nil
	for _, text := range f.list("allow_update") {
		var g inventory.UpdateGrant
		if err := g.UnmarshalText([]byte(text)); err != nil {
			f.wrong("allow_update", "%v", err)
		}
		to.AllowUpdate = append(to.AllowUpdate, g)
	}
}

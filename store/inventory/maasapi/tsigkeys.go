package maasapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// tsigKeyJSON is a TSIG key for transfers and updates of zones. MAAS has no such resource.
type tsigKeyJSON struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Algorithm string    `json:"algorithm"`
	Created   time.Time `json:"created"`
	// Secret is set only in the answer that creates the key.
	Secret      string `json:"secret,omitempty"`
	ResourceURI string `json:"resource_uri"`
}

// tsigKeys serves TSIG keys. They cannot be changed: a new secret is a new key, so that servers can
// be moved one by one.
func (a *API) tsigKeys() crud[inventory.TSIGKey] {
	return crud[inventory.TSIGKey]{
		shown: tsigKeyJSON{}, tx: a.tx, all: every(a.inv.TSIGKeys.List), find: numbered(a.inv.TSIGKeys.Get), show: each(a.showTSIGKey),
		read: func(_ *http.Request, f *form.Form, to *inventory.TSIGKey) {
			f.Text("name", &to.Name)
			f.Text("algorithm", &to.Algorithm)
			if f.Has("secret") {
				to.Secret = dnssrv.KeySecret(f.Get("secret"))
			}
		},
		create: a.inv.TSIGKeys.Create,
		remove: removing(a.inv.TSIGKeys.Delete, func(k inventory.TSIGKey) int64 { return k.ID }),
	}
}

// showTSIGKey shows a key. The inventory returns the secret only when the key is created.
func (a *API) showTSIGKey(k inventory.TSIGKey) any {
	return tsigKeyJSON{
		ID: k.ID, Name: k.Name, Algorithm: k.Algorithm, Created: k.Created, Secret: string(k.Secret),
		ResourceURI: fmt.Sprintf("%stsigkeys/%d/", a.base, k.ID),
	}
}

// readAccess reads the fields that control access to a domain's zone.
func readAccess(f *form.Form, to *inventory.Domain) {
	if f.Has("allow_transfer") {
		to.AllowTransfer = f.List("allow_transfer")
	}
	f.Servers("notify", dnsPort, &to.Notify)
	if !f.Has("allow_update") {
		return
	}
	to.AllowUpdate = nil
	for _, text := range f.List("allow_update") {
		var g inventory.UpdateGrant
		if err := g.UnmarshalText([]byte(text)); err != nil {
			f.Wrong("allow_update", "%v", err)
		}
		to.AllowUpdate = append(to.AllowUpdate, g)
	}
}

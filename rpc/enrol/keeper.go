package enrol

import (
	"context"
	"crypto/tls"
	"sync"

	"github.com/gomaas/maas/rpc"
)

// A Keeper keeps a rack's identity in a file and renews it. Its methods may be called concurrently.
type Keeper struct {
	path string

	mu sync.Mutex // guards the fields below
	id *Identity
}

// Keep saves an identity, for example from [Join], and returns its keeper.
func Keep(path string, id *Identity) (*Keeper, error) {
	if err := id.Save(path); err != nil {
		return nil, err
	}
	return &Keeper{path: path, id: id}, nil
}

// OpenKeeper loads the identity that was kept at the path. The error is fs.ErrNotExist where there
// is none.
func OpenKeeper(path string) (*Keeper, error) {
	id, err := Load(path)
	if err != nil {
		return nil, err
	}
	return &Keeper{path: path, id: id}, nil
}

// Identity returns the present identity. It must not be changed.
func (k *Keeper) Identity() *Identity {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.id
}

// TLS returns the configuration of the present identity, for TLS of [wire.Dialer]. The method value
// Identity.TLS would not do: it belongs to one certificate, and a dialer with it is refused once
// that has expired.
//
// [wire.Dialer]: https://pkg.go.dev/github.com/gomaas/maas/rpc/wire#Dialer
func (k *Keeper) TLS() (*tls.Config, error) { return k.Identity().TLS() }

// Renew replaces the identity by one with a new key and certificate, which the region at the other
// end of the session signs. A session that is up stays with the old certificate.
func (k *Keeper) Renew(ctx context.Context, region rpc.Caller) error {
	renewed, err := Renew(ctx, region, k.Identity())
	if err != nil {
		return err
	}
	// On disk first: after a crash the rack has the new certificate or still the old one, and both
	// are good.
	if err := renewed.Save(k.path); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.id = renewed
	return nil
}

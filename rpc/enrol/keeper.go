package enrol

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gomaas/maas/rpc"
)

// A Keeper keeps a rack's identity in a file and renews it. Its methods may be called concurrently.
type Keeper struct {
	// Log receives renewals and failures of Run. If nil, they are discarded. It is set before Run.
	Log *slog.Logger

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

// ErrRenewed ends a session so that the next one is made with the new certificate.
var ErrRenewed = errors.New("enrol: the certificate was renewed")

// retryRenewal bounds the pause after a failed renewal.
const retryRenewal = time.Hour

// Run renews the identity in time, for Connected of [rpc.RackConfig]. It returns ErrRenewed after a
// renewal, and nil when the session ends before. A failed renewal is repeated: the session is good
// all the same.
func (k *Keeper) Run(ctx context.Context, region rpc.Conn) error {
	log := k.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	for pause := time.Until(k.Identity().RenewAt()); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		err := k.Renew(ctx, region)
		if err == nil {
			log.Info("certificate renewed", "rack", k.Identity().Name())
			return ErrRenewed
		}
		expires := k.Identity().Cert.NotAfter
		pause = min(max(time.Until(expires)/10, time.Second), retryRenewal)
		if ctx.Err() == nil {
			log.Error("certificate not renewed", "retry_in", pause, "expires", expires, "err", err)
		}
	}
}

package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc/enrol"
)

// revocations holds the certificates that this rack refuses from other racks. The zero value
// refuses none. Its methods may be called concurrently.
type revocations struct {
	mu      sync.Mutex // guards the fields below
	serials map[string]bool
}

// adopt takes them out of the topic that says where the regions are.
func (r *revocations) adopt(_ context.Context, objects map[string][]byte) error {
	serials, err := register.Revoked(objects)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serials = make(map[string]bool, len(serials))
	for _, serial := range serials {
		r.serials[serial] = true
	}
	return nil
}

var errRevoked = errors.New("its certificate was revoked")

// refuse says why a certificate is no good.
func (r *revocations) refuse(cert *x509.Certificate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serials[enrol.Serial(cert)] {
		return errRevoked
	}
	return nil
}

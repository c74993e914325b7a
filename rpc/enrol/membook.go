package enrol

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gomaas/maas/rpc"
)

// MemBook is a [Book] in memory, for tests and as a model: after a restart all racks need new
// tokens. The zero value is empty. Its methods may be called concurrently.
//
// A token is good once. A rack's certificate is good until it expires, until [MemBook.Revoke], or
// until a newer one of the rack was shown.
type MemBook struct {
	mu     sync.Mutex
	tokens map[string]time.Time // that are not used, by hash
	racks  map[string]*member
}

// member is a rack that was let in.
type member struct {
	certs   map[string]int64 // generations by serial number
	newest  int64            // highest generation signed
	shown   int64            // highest generation shown
	expires time.Time        // of the newest
	revoked bool
}

// Add records a token.
func (b *MemBook) Add(t Token) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens == nil {
		b.tokens, b.racks = make(map[string]time.Time), make(map[string]*member)
	}
	b.tokens[Hash(t.Secret)] = t.Expires
}

// Examine implements Book.
func (b *MemBook) Examine(_ context.Context, hash, rack string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.examine(hash, rack)
}

func (b *MemBook) examine(hash, rack string) (int64, error) {
	expires, ok := b.tokens[hash]
	m := b.racks[rack]
	switch {
	case rack == "":
		return 0, errors.New("the rack has no name")
	case !ok:
		return 0, errors.New("the token is not known, or was used; make a new one")
	case !time.Now().Before(expires):
		return 0, errors.New("the token expired; make a new one")
	case m == nil:
		return 1, nil
	case !m.revoked && time.Now().Before(m.expires):
		return 0, fmt.Errorf("a rack %s is enrolled already; choose another name, or revoke it first", rack)
	}
	return m.newest + 1, nil
}

// Admit implements Book.
func (b *MemBook) Admit(_ context.Context, hash string, cert *x509.Certificate) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	rack := cert.Subject.CommonName
	generation, err := b.examine(hash, rack)
	if err == nil && generation != Generation(cert) {
		err = errors.New("another host enrolled with that name at the same moment")
	}
	if err != nil {
		return err
	}
	delete(b.tokens, hash)
	b.racks[rack] = &member{certs: map[string]int64{Serial(cert): generation}, newest: generation, expires: cert.NotAfter}
	return nil
}

// Renewed implements Book.
func (b *MemBook) Renewed(_ context.Context, _ string, shown, cert *x509.Certificate) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, err := b.member(shown)
	if err != nil {
		return err
	}
	generation := Generation(cert)
	m.certs[Serial(cert)], m.newest, m.expires = generation, max(m.newest, generation), cert.NotAfter
	return nil
}

// RackOf implements Book.
func (b *MemBook) RackOf(_ context.Context, shown *x509.Certificate) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.member(shown); err != nil {
		return "", err
	}
	return shown.Subject.CommonName, nil
}

// member returns the rack that a certificate belongs to, if that is good.
func (b *MemBook) member(shown *x509.Certificate) (*member, error) {
	rack := shown.Subject.CommonName
	m := b.racks[rack]
	if m == nil {
		return nil, errors.New("the certificate is not known here; enrol with a new token")
	}
	generation, ok := m.certs[Serial(shown)]
	switch {
	case !ok:
		return nil, errors.New("the certificate is not known here; enrol with a new token")
	case m.revoked:
		return nil, fmt.Errorf("rack %s is revoked (%w); enrol it with a new token", rack, rpc.ErrRevoked)
	case generation < m.shown:
		// The rack has a newer one, so another host has a copy of this.
		m.revoked = true
		return nil, fmt.Errorf("two hosts have the identity of rack %s, both are shut out (%w); enrol it with a new token", rack, rpc.ErrRevoked)
	}
	m.shown = generation
	for serial, g := range m.certs {
		if g < generation-1 { // a long-lived rack renews each day; the last one tells of copies
			delete(m.certs, serial)
		}
	}
	return m, nil
}

// Revoke makes all certificates of a rack void. Its sessions go on until the region closes them.
func (b *MemBook) Revoke(rack string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.racks[rack]
	if m == nil {
		return fmt.Errorf("enrol: no rack %s is enrolled", rack)
	}
	m.revoked = true
	return nil
}

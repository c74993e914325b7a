package enrol

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gomaas/maas/internal/atomicfile"
)

// An Identity is a rack's key, the certificate for it, and the CA whose regions it trusts.
type Identity struct {
	Key  *ecdsa.PrivateKey
	Cert *x509.Certificate
	CA   *x509.Certificate
}

// Name is the rack's name.
func (id *Identity) Name() string { return id.Cert.Subject.CommonName }

// renewEvery is the longest time between renewals. A copy of an identity is noticed when both hosts
// have renewed it, so it is short beside the life of a certificate.
const renewEvery = 24 * time.Hour

// RenewAt returns the time from which on the certificate is to be renewed: after a day, or when two
// thirds of its life are over.
func (id *Identity) RenewAt() time.Time {
	life := id.Cert.NotAfter.Sub(id.Cert.NotBefore)
	return id.Cert.NotBefore.Add(min(life*2/3, renewEvery))
}

// complete returns an error when a part is missing, as in an Identity that was not made by this
// package.
func (id *Identity) complete() error {
	if id == nil || id.Key == nil || id.Cert == nil || id.CA == nil {
		return errors.New("enrol: the identity lacks its key, certificate or CA; Join, Load and CA.Issue return whole ones")
	}
	return nil
}

// TLS returns the configuration with which the rack shows its certificate and verifies a region. It
// does not follow renewals; see [Keeper.TLS].
func (id *Identity) TLS() (*tls.Config, error) {
	if err := id.complete(); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(id.CA)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: RegionName,
		Certificates: []tls.Certificate{{Certificate: [][]byte{id.Cert.Raw}, PrivateKey: id.Key, Leaf: id.Cert}},
	}, nil
}

const (
	pemKey  = "PRIVATE KEY"
	pemCert = "CERTIFICATE"
)

// PEM returns the text that [Identity.Save] writes. It is secret.
func (id *Identity) PEM() ([]byte, error) {
	if err := id.complete(); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	var text bytes.Buffer
	for _, block := range []pem.Block{{Type: pemKey, Bytes: key}, {Type: pemCert, Bytes: id.Cert.Raw}, {Type: pemCert, Bytes: id.CA.Raw}} {
		if err := pem.Encode(&text, &block); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// Save replaces the file at path by the identity, whole or not at all, with mode 0600.
func (id *Identity) Save(path string) error {
	text, err := id.PEM()
	if err != nil {
		return err
	}
	f, err := atomicfile.Replace(path, text)
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("enrol: save identity: %w", err)
	}
	return nil
}

// Load reads an identity. The error is fs.ErrNotExist where there is none.
func Load(path string) (*Identity, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	id, err := ParseIdentity(text)
	if err != nil {
		return nil, fmt.Errorf("enrol: %s: %w; enrol again with a new token", path, err)
	}
	return id, nil
}

// ParseIdentity is the inverse of [Identity.PEM].
func ParseIdentity(text []byte) (*Identity, error) {
	id := new(Identity)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if err := id.add(block); err != nil {
			return nil, err
		}
	}
	if id.Key == nil || id.CA == nil || !id.Key.PublicKey.Equal(id.Cert.PublicKey) {
		return nil, errors.New("incomplete")
	}
	return id, nil
}

func (id *Identity) add(block *pem.Block) error {
	if block.Type == pemKey {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		signer, ok := key.(*ecdsa.PrivateKey)
		if err != nil || !ok {
			return errors.New("the key is damaged") // the cause could quote it
		}
		id.Key = signer
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return errors.New("a certificate is damaged")
	}
	if id.Cert == nil {
		id.Cert = cert
	} else {
		id.CA = cert
	}
	return nil
}

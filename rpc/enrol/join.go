package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/wire"
)

// A Request asks a region for a certificate: the question of [wire.Ask], and what [RenewMethod]
// takes.
type Request struct {
	// Secret is the token's; empty in a renewal.
	Secret string `json:"secret,omitempty"`
	// Rack is the name that the rack wants; a renewal keeps the one it has.
	Rack string `json:"rack,omitempty"`
	// CSR is the certificate request, PKCS #10 in DER.
	CSR []byte `json:"csr"`
}

// An Answer is the region's answer to a Request that it grants.
type Answer struct {
	// Cert is the rack's certificate, in DER.
	Cert []byte `json:"cert"`
	// Regions are the addresses of all regions, as host:port.
	Regions []string `json:"regions,omitempty"`
}

// RenewMethod is the region's method for renewals.
const RenewMethod = "enrol.renew"

// Join enrols a rack at the first region of the token that answers, and returns its identity and
// the addresses of all regions, which the caller keeps for later starts: a [Keeper] does not. It
// sends nothing to a region that is not of the token's site.
func Join(ctx context.Context, t Token, rack string) (*Identity, []string, error) {
	if time.Now().After(t.Expires) {
		return nil, nil, fmt.Errorf("enrol: the token expired at %s; make a new one with `maas region token create`", t.Expires.Format(time.DateTime))
	}
	key, csr, err := newRequest(rack)
	if err != nil {
		return nil, nil, err
	}
	question, err := json.Marshal(Request{Secret: t.Secret, Rack: rack, CSR: csr})
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, address := range t.Regions {
		id, regions, err := join(ctx, address, t.Fingerprint, key, question)
		if err == nil {
			return id, regions, nil
		}
		errs = append(errs, fmt.Errorf("enrol: region %s: %w", address, err))
		if refused := (*rpc.Error)(nil); errors.As(err, &refused) {
			break // the others say the same
		}
	}
	return nil, nil, errors.Join(errs...)
}

func join(ctx context.Context, address, fingerprint string, key *ecdsa.PrivateKey, question []byte) (*Identity, []string, error) {
	var ca *x509.Certificate
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: RegionName,
		InsecureSkipVerify: true, // the CA is known by its fingerprint; VerifyConnection does what is left out
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			ca, err = pinned(state.PeerCertificates, fingerprint)
			return err
		},
	}
	text, err := wire.Ask(ctx, address, cfg, question)
	if err != nil {
		return nil, nil, err
	}
	return accept(text, key, ca)
}

// pinned checks a region's certificate with the CA of the fingerprint, and returns that.
func pinned(chain []*x509.Certificate, want string) (*x509.Certificate, error) {
	for _, ca := range chain[min(1, len(chain)):] {
		if fingerprint(ca.Raw) != want {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := chain[0].Verify(x509.VerifyOptions{DNSName: RegionName, Roots: roots})
		return ca, err
	}
	return nil, errors.New("this is not a region of the site that made the token")
}

// accept takes the certificate out of an answer, if it is one for the key.
func accept(text []byte, key *ecdsa.PrivateKey, ca *x509.Certificate) (*Identity, []string, error) {
	var a Answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, nil, fmt.Errorf("answer: %w", err)
	}
	cert, err := x509.ParseCertificate(a.Cert)
	if err != nil {
		return nil, nil, fmt.Errorf("answer: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) || cert.CheckSignatureFrom(ca) != nil {
		return nil, nil, errors.New("answer: the certificate is not for this rack")
	}
	return &Identity{Key: key, Cert: cert, CA: ca}, a.Regions, nil
}

func newRequest(rack string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("enrol: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: rack}}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("enrol: %w", err)
	}
	return key, csr, nil
}

// Renew gets a new certificate for a new key from the region at the other end of the session.
func Renew(ctx context.Context, region rpc.Caller, id *Identity) (*Identity, error) {
	if err := id.complete(); err != nil {
		return nil, err
	}
	key, csr, err := newRequest(id.Name())
	if err != nil {
		return nil, err
	}
	text, err := rpc.Do[json.RawMessage](ctx, region, RenewMethod, Request{CSR: csr})
	if err != nil {
		return nil, err
	}
	renewed, _, err := accept(text, key, id.CA)
	return renewed, err
}

package enrol

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"time"
)

// RegionName is the name in each region's certificate. Racks check it instead of an address, which
// may change.
const RegionName = "region.maas.internal"

const (
	caLife     = 20 * 365 * 24 * time.Hour
	regionLife = 30 * 24 * time.Hour
	// clockSkew is the time by which a peer's clock may be behind.
	clockSkew = 5 * time.Minute
)

// A CA is a site's certificate authority. It may be used concurrently.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer

	mu     sync.Mutex // guards the fields below
	region *tls.Certificate
}

// NewCA makes a certificate authority with a new key.
func NewCA() (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("enrol: make CA: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "maas site CA"},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("enrol: make CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return &CA{cert: cert, key: key}, err
}

// ParseCA is the inverse of [CA.Marshal].
func ParseCA(cert, key []byte) (*CA, error) {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, fmt.Errorf("enrol: CA certificate: %w", err)
	}
	k, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("enrol: CA key: not a PKCS #8 key") // the cause could quote it
	}
	signer, ok := k.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(c.PublicKey) {
		return nil, errors.New("enrol: CA key: does not belong to the certificate")
	}
	return &CA{cert: c, key: signer}, nil
}

// Marshal returns the certificate and the key, both in DER. The key is secret.
func (ca *CA) Marshal() (cert, key []byte, err error) {
	key, err = x509.MarshalPKCS8PrivateKey(ca.key)
	return ca.cert.Raw, key, err
}

// Certificate is the CA's own, in DER.
func (ca *CA) Certificate() []byte { return ca.cert.Raw }

// Fingerprint is the SHA-256 of the CA's certificate, in hexadecimal.
func (ca *CA) Fingerprint() string { return fingerprint(ca.cert.Raw) }

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// SignRack makes a rack's certificate from its request (PKCS #10 in DER), which proves that it has
// the key. Of the request only the key is taken; name, generation and life are the caller's. The
// generation counts the certificates of a name, from 1; see [Generation].
func (ca *CA) SignRack(request []byte, rack string, generation int64, life time.Duration) (*x509.Certificate, error) {
	r, err := x509.ParseCertificateRequest(request)
	if err == nil {
		err = r.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("enrol: certificate request: %w", err)
	}
	if _, ok := r.PublicKey.(*ecdsa.PublicKey); !ok {
		return nil, errors.New("enrol: certificate request: not an ECDSA key")
	}
	return ca.sign(r.PublicKey, &x509.Certificate{
		Subject:     pkix.Name{CommonName: rack, SerialNumber: strconv.FormatInt(generation, 10)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, life)
}

// Generation returns the generation of a rack's certificate; 0 = it was signed without one. A
// region that sees a rack show a certificate older than one it has shown before knows that two
// hosts have its identity.
func Generation(cert *x509.Certificate) int64 {
	n, err := strconv.ParseInt(cert.Subject.SerialNumber, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Issue makes a rack of the CA's own process an identity, good for life.
func (ca *CA) Issue(rack string, life time.Duration) (*Identity, error) {
	key, csr, err := newRequest(rack)
	if err != nil {
		return nil, err
	}
	cert, err := ca.SignRack(csr, rack, 1, life)
	if err != nil {
		return nil, err
	}
	return &Identity{Key: key, Cert: cert, CA: ca.cert}, nil
}

func (ca *CA) sign(key any, template *x509.Certificate, life time.Duration) (*x509.Certificate, error) {
	now := time.Now()
	template.SerialNumber, template.KeyUsage, template.BasicConstraintsValid = newSerial(), x509.KeyUsageDigitalSignature, true
	template.NotBefore, template.NotAfter = now.Add(-clockSkew), now.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("enrol: sign: %w", err)
	}
	return x509.ParseCertificate(der)
}

// RegionTLS returns the configuration with which a region shows its certificate and verifies racks.
// The certificate is replaced before it expires.
func (ca *CA) RegionTLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientCAs: pool,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return ca.regionCertificate() },
	}
}

func (ca *CA) regionCertificate() (*tls.Certificate, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if ca.region != nil && time.Until(ca.region.Leaf.NotAfter) > regionLife/3 {
		return ca.region, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := ca.sign(key.Public(), &x509.Certificate{
		Subject: pkix.Name{CommonName: RegionName}, DNSNames: []string{RegionName},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, regionLife)
	if err != nil {
		return nil, err
	}
	// The CA goes along for racks that know only its fingerprint yet.
	ca.region = &tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}
	return ca.region, nil
}

// newSerial is 127 random bits, so that it is positive.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}

// Serial is a certificate's serial number as a site keeps it: hexadecimal.
func Serial(cert *x509.Certificate) string { return cert.SerialNumber.Text(16) }

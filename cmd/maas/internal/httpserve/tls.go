package httpserve

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
)

// Names of the files of a self-signed certificate in its directory.
const (
	CertFile = "api.crt"
	KeyFile  = "api.key"
)

// A certificate created here is valid for certLife, and replaced when less than certRenew remains.
const (
	certLife  = 2 * 365 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// lookEvery is the shortest interval between checks of certificate files for changes.
const lookEvery = 10 * time.Second

// Files serves TLS 1.2 and newer with a certificate and its key in PEM files. When they change they
// are read again; while they cannot be read the last ones serve.
func Files(certFile, keyFile string) (*tls.Config, error) {
	f := &files{cert: certFile, key: keyFile}
	if _, err := f.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: f.get}, nil
}

// files are a certificate and when it was read.
type files struct {
	cert, key string

	mu     sync.Mutex // guards all below
	last   *tls.Certificate
	mod    time.Time
	looked time.Time
}

func (f *files) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.last != nil && now.Sub(f.looked) < lookEvery {
		return f.last, nil
	}
	f.looked = now
	st, err := os.Stat(f.cert)
	if err == nil && f.last != nil && st.ModTime().Equal(f.mod) {
		return f.last, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(f.cert, f.key); err == nil {
			f.last, f.mod = &pair, st.ModTime()
		}
	}
	if f.last == nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.cert, f.key, err)
	}
	return f.last, nil
}

// SelfSigned serves TLS with a certificate that is made in dir when there is none, or it ends soon.
// Names are host names and addresses at which clients reach the server.
func SelfSigned(dir string, names []string) (*tls.Config, error) {
	certFile, keyFile := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	if err := secretfile.Check(keyFile); err != nil {
		return nil, err
	}
	good, err := isGood(certFile, keyFile)
	if err == nil && !good {
		err = makeCert(certFile, keyFile, names)
	}
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	return Files(certFile, keyFile)
}

// isGood reports whether a certificate exists that does not expire soon.
func isGood(certFile, keyFile string) (bool, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w; remove %s and %s to have them made anew", err, certFile, keyFile)
	}
	return time.Until(pair.Leaf.NotAfter) > certRenew, nil
}

// makeCert writes a certificate for the key in its file, or for a new one. A successor has the key
// of the certificate before it: clients that pinned that go on.
func makeCert(certFile, keyFile string, names []string) error {
	key, err := keyOf(keyFile)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "maas"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if name != "" {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	return renameio.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// keyOf reads a key from its file. It makes one if there is none.
func keyOf(file string) (crypto.Signer, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, secretfile.Write(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: has no key; remove it to have one made", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to have a key made", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: %T cannot sign; remove it to have a key made", file, key)
	}
	return signer, nil
}

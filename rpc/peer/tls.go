package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/gomaas/maas/rpc/enrol"
)

// protocol is the application protocol, so that nothing else is taken for it.
const protocol = "maas-peer/1"

// tlsConfig returns the configuration with which a rack shows its certificate and verifies the
// partner's: refuse judges the certificate, and allowed the name in it.
func tlsConfig(id *enrol.Identity, refuse func(*x509.Certificate) error, allowed func(name string) error) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(id.CA)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{{Certificate: [][]byte{id.Cert.Raw}, PrivateKey: id.Key, Leaf: id.Cert}},
		// Both sides are racks, whose certificates are for clients and name no host; what Go would
		// check by itself does not fit. VerifyConnection checks all of it, and is never skipped.
		ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error { return verify(state, roots, refuse, allowed) },
	}
}

// verify checks chain, purpose, time and name of the other side's certificate.
func verify(state tls.ConnectionState, roots *x509.CertPool, refuse func(*x509.Certificate) error, allowed func(name string) error) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("peer: no certificate")
	}
	cert := state.PeerCertificates[0]
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fmt.Errorf("peer: not a rack of this site: %w", err)
	}
	if err := refuse(cert); err != nil {
		return fmt.Errorf("peer: rack %q is refused: %w", cert.Subject.CommonName, err)
	}
	if state.NegotiatedProtocol != protocol {
		return errors.New("peer: speaks another protocol")
	}
	return allowed(cert.Subject.CommonName)
}

package powersim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gomaas/maas/power"
)

// serveTLS puts a service on a free port of loopback, behind a certificate that the target pins.
func serveTLS(c *Chassis, kind, user, password string, service http.Handler, sessions func() int, endSessions func()) (*BMC, error) {
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	b, err := serveHTTP(c, kind, service, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	pin := sha256.Sum256(cert.Certificate[0])
	b.session, b.faults.end = sessions, endSessions
	b.target.Params["power_user"], b.target.Params["power_pass"], b.target.Params["tls_fingerprint"] = user, password, hex.EncodeToString(pin[:])
	return b, nil
}

// serveHTTP puts a service without sessions on a free port of loopback, with TLS unless config is
// nil.
func serveHTTP(c *Chassis, kind string, service http.Handler, config *tls.Config) (*BMC, error) {
	if c == nil {
		return nil, errChassis
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := ln.Addr().String()
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	faults := &faults{end: func() {}}
	srv := &http.Server{Handler: faults.stalling(service), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	var done sync.WaitGroup
	done.Go(func() { _ = srv.Serve(ln) })
	return &BMC{
		Address: address, faults: faults, session: func() int { return 0 },
		target: power.Target{Kind: kind, Name: address, Params: power.Params{"power_address": address}},
		close: func() error {
			// The order matters: no request may start another change once the changes are waited
			// for.
			err := srv.Close() // a stalled request would hold up a shutdown
			done.Wait()
			c.changes.Wait()
			return err
		},
	}, nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

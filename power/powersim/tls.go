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

// serveTLS puts a service on a free port of loopback.
func serveTLS(c *Chassis, kind, user, password string, service http.Handler, sessions func() int, endSessions func()) (*BMC, error) {
	if c == nil {
		return nil, errChassis
	}
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	faults := &faults{end: endSessions}
	srv := &http.Server{Handler: faults.stalling(service), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	var done sync.WaitGroup
	done.Go(func() {
		_ = srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}))
	})
	address, pin := ln.Addr().String(), sha256.Sum256(cert.Certificate[0])
	return &BMC{
		Address: address, faults: faults, session: sessions,
		target: power.Target{Kind: kind, Name: address, Params: power.Params{
			"power_address": address, "power_user": user, "power_pass": password, "tls_fingerprint": hex.EncodeToString(pin[:]),
		}},
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

package redfish

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
)

// Name is the power type's name.
const Name = "redfish"

const (
	paramAddress     = "power_address"
	paramUser        = "power_user"
	paramPass        = "power_pass"
	paramNode        = "node_id"
	paramVerify      = "tls_verify"
	paramFingerprint = "tls_fingerprint"
)

// Kind declares the power type "redfish".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "Redfish",
		Params: []power.Param{
			{Name: paramAddress, Label: "BMC address or URL", Required: true},
			{Name: paramUser, Label: "User", Required: true},
			{Name: paramPass, Label: "Password", Required: true, Secret: true},
			{Name: paramNode, Label: "System, when the BMC has several", Scope: power.ScopeNode},
			{Name: paramVerify, Label: "Verify the TLS certificate", Default: "yes", Choices: []string{"yes", "no"}},
			{Name: paramFingerprint, Label: "SHA-256 fingerprint of the BMC's certificate"},
		},
		Open: open,
	}
}

// endpoint turns an address into a URL without a path.
func endpoint(address string) string {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	return strings.TrimRight(address, "/")
}

// requestTimeout is for one HTTP request; some BMCs take tens of seconds under load.
const requestTimeout = time.Minute

// httpClient is a client with a transport of its own, that trusts as the parameters say.
func httpClient(p power.Params) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if pin := p[paramFingerprint]; pin != "" {
		want, err := hex.DecodeString(strings.ReplaceAll(pin, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, power.Errorf(power.Settings, "settings", "%s: want 64 hexadecimal digits of SHA-256", paramFingerprint)
		}
		config.InsecureSkipVerify = true // the fingerprint is stricter than any chain
		config.VerifyPeerCertificate = pinned([sha256.Size]byte(want))
	} else if p[paramVerify] == "no" {
		config.InsecureSkipVerify = true
	}
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			TLSClientConfig: config, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: requestTimeout,
			MaxIdleConns: 1, IdleConnTimeout: 10 * time.Second,
		},
	}, nil
}

var errPin = errors.New("the certificate does not have the pinned fingerprint")

func pinned(want [sha256.Size]byte) func([][]byte, [][]*x509.Certificate) error {
	return func(certs [][]byte, _ [][]*x509.Certificate) error {
		if len(certs) == 0 || sha256.Sum256(certs[0]) != want {
			return errPin
		}
		return nil
	}
}

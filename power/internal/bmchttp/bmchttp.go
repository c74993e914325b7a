// Package bmchttp makes the HTTP clients of drivers: each with a transport of its own, that trusts
// a BMC's certificate as the parameters say.
package bmchttp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
)

// The parameters that say how far a certificate is trusted.
const (
	paramVerify      = "tls_verify"
	paramFingerprint = "tls_fingerprint"
	paramLegacy      = "tls_legacy"
)

// Params are the parameters that New reads.
func Params() []power.Param {
	return []power.Param{
		{Name: paramVerify, Label: "Verify the TLS certificate", Default: "yes", Choices: []string{"yes", "no"}},
		{Name: paramFingerprint, Label: "SHA-256 fingerprint of the BMC's certificate"},
		{Name: paramLegacy, Label: "Allow TLS 1.0, TLS 1.1 and RSA key exchange, for old BMCs; allowed without verification, too", Choices: []string{"yes", "no"}},
	}
}

// requestTimeout is for one HTTP request; some BMCs take tens of seconds under load.
const requestTimeout = time.Minute

// New returns a client with a transport of its own, that takes part in the transcript of ctx. Its
// owner calls CloseIdleConnections when done.
func New(ctx context.Context, p power.Params) (*http.Client, error) {
	config, err := TLSConfig(p)
	if err != nil {
		return nil, err
	}
	return NewClient(ctx, &http.Transport{TLSClientConfig: config}), nil
}

// NewUnix is New for a service at a UNIX socket, which needs no certificate.
func NewUnix(ctx context.Context, path string) *http.Client {
	return NewClient(ctx, &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}})
}

// NewClient is New with a transport of the caller's, which gets the limits of all drivers.
func NewClient(ctx context.Context, transport *http.Transport) *http.Client {
	transport.TLSHandshakeTimeout, transport.ResponseHeaderTimeout = 10*time.Second, requestTimeout
	// BMCs serve few connections at a time; a second one may be refused.
	transport.MaxIdleConns, transport.IdleConnTimeout = 1, 10*time.Second
	// No cookies: drivers that need them set a jar.
	client := &http.Client{Timeout: requestTimeout, Transport: transport, CheckRedirect: sameService}
	if t := power.TranscriptFrom(ctx); t != nil {
		client.Transport = &transcribed{transport, t}
	}
	return client
}

// ClientCertificate makes the configuration present the certificate and key of two parameters, if
// the certificate is given.
func ClientCertificate(config *tls.Config, p power.Params, certParam, keyParam string) error {
	if p[certParam] == "" {
		return nil
	}
	cert, err := tls.X509KeyPair([]byte(p[certParam]), []byte(p[keyParam]))
	if err != nil {
		return power.Errorf(power.Settings, "settings", "%s and %s do not belong together, or are not PEM", certParam, keyParam)
	}
	config.Certificates = []tls.Certificate{cert}
	return nil
}

// sameService keeps passwords, tokens and the names of machines from other hosts, and from plain
// HTTP. Redirects elsewhere are returned as the answer.
func sameService(req *http.Request, via []*http.Request) error {
	if len(via) > 5 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// TLSConfig returns a configuration that accepts the certificate that the parameters describe.
func TLSConfig(p power.Params) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	// Off by default: these versions and exchanges have no forward secrecy, or are broken. A
	// connection whose certificate is not checked has no security to lose, and reaches old BMCs.
	unchecked := p[paramVerify] == "no" && p[paramFingerprint] == ""
	if p[paramLegacy] == "yes" || unchecked && p[paramLegacy] != "no" {
		config.MinVersion = tls.VersionTLS10
		// A list of our own, since Go's does not have RSA key exchange and 3DES any longer.
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			config.CipherSuites = append(config.CipherSuites, suite.ID)
		}
	}
	pin := p[paramFingerprint]
	switch {
	case pin != "":
		want, err := hex.DecodeString(strings.ReplaceAll(pin, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, power.Errorf(power.Settings, "settings", "%s: want 64 hexadecimal digits of SHA-256", paramFingerprint)
		}
		config.InsecureSkipVerify = true // the fingerprint is stricter than any chain
		config.VerifyConnection = pinned([sha256.Size]byte(want))
	case p[paramVerify] == "no":
		config.InsecureSkipVerify = true
	}
	return config, nil
}

// ErrPin is the error of a connection to a BMC with another certificate than the pinned one.
var ErrPin = errors.New("the certificate does not have the pinned fingerprint")

// pinned is asked on resumed connections too, unlike VerifyPeerCertificate.
func pinned(want [sha256.Size]byte) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || sha256.Sum256(s.PeerCertificates[0].Raw) != want {
			return ErrPin
		}
		return nil
	}
}

// Transport returns the error of a request that was never answered, with its class.
func Transport(ctx context.Context, op string, err error) *power.Error {
	// The URL is left out: people put keys into queries.
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	// The context goes first: its end shows as any error of the connection.
	case ctx.Err() != nil:
		return power.Errorf(power.Connection, op, "%w", ctx.Err())
	// Not a failure of the network: trying again gets the same certificate.
	case errors.Is(err, ErrPin):
		return power.Errorf(power.Settings, op, "%w", err)
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return power.Errorf(power.Settings, op, "%w; set %s to the fingerprint of the BMC's certificate, or %s to no", err, paramFingerprint, paramVerify)
	case refusedHandshake(err):
		return power.Errorf(power.Settings, op, "%w; an old BMC may need %s=yes, which allows TLS 1.0, TLS 1.1 and RSA key exchange", err, paramLegacy)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return power.Errorf(power.Settings, op, "%w; write http:// before the address, or the port of https", err)
	}
	return power.Errorf(power.Connection, op, "%w", err)
}

// refusals are the texts of package crypto/tls when the two sides have no version or cipher suite
// in common. It has no types for them.
var refusals = []string{
	"tls: handshake failure", "tls: protocol version not supported", "tls: insufficient security level",
	"server selected unsupported protocol version", "server selected unsupported cipher suite", "server chose an unconfigured cipher suite",
}

// refusedHandshake reports whether another try would be refused as well.
func refusedHandshake(err error) bool {
	return slices.ContainsFunc(refusals, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// Status sorts an HTTP status that is not a success; nil for one that is.
func Status(op string, code int, detail string) error {
	if code >= 200 && code < 300 {
		return nil
	}
	cause := fmt.Errorf("HTTP %d %s", code, strings.TrimSpace(http.StatusText(code)+" "+detail))
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return power.Errorf(power.Auth, op, "%w", cause)
	case http.StatusNotFound:
		return power.Errorf(power.Settings, op, "%w", cause)
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return power.Errorf(power.Unsupported, op, "%w", cause)
	// A BMC that starts, or has no session left, answers with these for a while.
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return power.Errorf(power.Connection, op, "%w", cause)
	}
	return power.Errorf(power.ActionFailed, op, "%w", cause)
}

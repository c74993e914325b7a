package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Pin is the certificate of a site without an authority that clients know.
type Pin struct {
	// Fingerprint is the SHA-256 of the certificate in hexadecimal.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Key is the SHA-256 of the certificate's public key in hexadecimal. A site renews its
	// certificate with the same key, and such a successor is the same site.
	Key string `json:"key_fingerprint,omitempty"`
}

// pinOf returns the pin of a certificate.
func pinOf(cert *x509.Certificate) Pin {
	whole, key := sha256.Sum256(cert.Raw), sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return Pin{hex.EncodeToString(whole[:]), hex.EncodeToString(key[:])}
}

// ChangedError reports that a site has another certificate than the pinned one.
type ChangedError struct {
	Pinned, Shown string // SHA-256 fingerprints
}

// Error is one line with the cure.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("the certificate has changed: its fingerprint is %s, and was %s. Either the site has a new one, or another host answers in its place. If the site's log has the new fingerprint, log in again with: maas login --fingerprint %s URL",
		e.Shown, e.Pinned, e.Shown)
}

// verify refuses connections to any other server. It runs in resumed sessions, too.
func (p Pin) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	return p.Check(pinOf(state.PeerCertificates[0]))
}

// Check returns a ChangedError for the certificate of another site.
func (p Pin) Check(shown Pin) error {
	if p.Fingerprint == shown.Fingerprint || p.Key != "" && p.Key == shown.Key {
		return nil
	}
	return &ChangedError{p.Fingerprint, shown.Fingerprint}
}

// ParseFingerprint reads a SHA-256 fingerprint as programs write it: in hexadecimal of any case,
// with colons or without, after "SHA256:" or nothing.
func ParseFingerprint(text string) (string, error) {
	digits := strings.ToLower(strings.TrimSpace(text))
	for _, prefix := range []string{"sha256:", "sha-256:", "sha256 fingerprint="} {
		digits = strings.TrimPrefix(digits, prefix)
	}
	digits = strings.ReplaceAll(digits, ":", "")
	if b, err := hex.DecodeString(digits); err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("%q is not a SHA-256 fingerprint of 64 hexadecimal digits", text)
	}
	return digits, nil
}

// Seen connects and returns the certificate of the server, and why the client would not trust it:
// nil if the system or CA vouches for it. It returns the zero Pin for a server without TLS. Nothing
// secret is sent.
func (c Client) Seen(ctx context.Context) (pin Pin, distrust, err error) {
	plain := Client{URL: c.URL, CA: c.CA}
	resp, done, err := plain.open(ctx, http.MethodGet, API+"version/", nil, "", nil)
	if err == nil {
		defer done()
		if resp.TLS != nil {
			pin = pinOf(resp.TLS.PeerCertificates[0])
		}
		return pin, nil, nil
	}
	if answer := (*Error)(nil); errors.As(err, &answer) {
		return Pin{}, nil, err // the certificate is trusted, and the answer is none of a site
	}
	distrust = err
	transport, err := plain.transport()
	if err != nil {
		return Pin{}, nil, err
	}
	defer transport.CloseIdleConnections()
	transport.TLSClientConfig.InsecureSkipVerify = true // only to see the certificate
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+API+"version/", nil)
	if err != nil {
		return Pin{}, nil, err
	}
	answer, err := transport.RoundTrip(req)
	if err != nil {
		return Pin{}, nil, distrust
	}
	answer.Body.Close()
	if answer.TLS == nil {
		return Pin{}, nil, distrust
	}
	return pinOf(answer.TLS.PeerCertificates[0]), distrust, nil
}

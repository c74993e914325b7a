package daemon

import (
	"crypto/tls"
	"net"
	"os"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
)

// openTLS returns how the API on a listener is secured, nil if it is not, and the fingerprint of
// the certificate.
func openTLS(cfg config.Config, at net.Addr) (secured *tls.Config, fingerprint string, err error) {
	switch cfg.Region.TLSMode() {
	case config.TLSOff:
		return nil, "", nil
	case config.TLSFiles:
		secured, err = httpserve.Files(cfg.Region.TLSCert, cfg.Region.TLSKey)
	default:
		secured, err = httpserve.SelfSigned(cfg.Data, ownNames(at))
	}
	if err != nil {
		return nil, "", err
	}
	fingerprint, err = httpserve.Fingerprint(secured)
	return secured, fingerprint, err
}

// ownNames returns the names by which clients may reach this host.
func ownNames(addr net.Addr) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	if all, err := ownAddresses(addr); err == nil {
		for _, text := range all {
			if host, _, err := net.SplitHostPort(text); err == nil {
				names = append(names, host)
			}
		}
	}
	return names
}

package daemon

import (
	"crypto/tls"
	"errors"
	"net"
	"os"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
)

// withTLS makes a listener of the API speak TLS if the configuration says so. It closes ln when
// that fails.
func withTLS(ln net.Listener, cfg config.Config) (net.Listener, error) {
	var tlsConfig *tls.Config
	var err error
	switch cfg.Region.TLSMode() {
	case config.TLSOff:
		return ln, nil
	case config.TLSFiles:
		tlsConfig, err = httpserve.Files(cfg.Region.TLSCert, cfg.Region.TLSKey)
	default:
		tlsConfig, err = httpserve.SelfSigned(cfg.Data, ownNames(ln.Addr()))
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return tls.NewListener(ln, tlsConfig), nil
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

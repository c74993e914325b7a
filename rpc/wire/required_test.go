package wire_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/gomaas/maas/rpc/wire"
)

// What is required and missing is an error, never a panic.
func TestMissingFieldsAreErrors(t *testing.T) {
	if _, err := wire.NewServer(wire.ServerConfig{}); err == nil || !strings.Contains(err.Error(), "needs Region") {
		t.Errorf("server: %v", err)
	}
	config := func() (*tls.Config, error) { return &tls.Config{}, nil }
	for name, d := range map[string]*wire.Dialer{
		"empty":      {},
		"no TLS":     {Regions: func() []string { return []string{"127.0.0.1:1"} }},
		"no Regions": {TLS: config},
		"nil TLS": {
			Regions: func() []string { return []string{"127.0.0.1:1"} }, TLS: func() (*tls.Config, error) { return nil, nil },
		},
	} {
		if _, err := d.Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "a dialer needs Regions and TLS") {
			t.Errorf("%s: Dial: %v", name, err)
		}
	}
	if _, err := new(wire.Dialer).DialAt(t.Context(), "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "needs Regions and TLS") {
		t.Errorf("DialAt: %v", err)
	}
	if _, err := wire.Ask(t.Context(), "127.0.0.1:1", nil, nil); err == nil {
		t.Error("Ask without a TLS configuration gave no error")
	}
}

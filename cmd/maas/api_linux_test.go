package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Hosts of the network use the API over TLS alone, with the certificate whose fingerprint the daemon logs; plain HTTP answers
// the daemon's own host, and monitors.
func TestTLSOfARealSite(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("curl", "curl"))
	lab := netlab.New(t)
	site, client := lab.NS("site"), lab.NS("client")
	lab.Veth(site, "eth0", client, "eth0")
	site.Addr("eth0", "192.0.2.1/24")
	client.Addr("eth0", "192.0.2.9/24")
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s := &realSite{t: t, ns: site, binary: build(t), data: filepath.Join(dir, "data"), log: log}
	s.args = []string{"all", "--data", s.data, "--no-dhcp", "--log-format", "text"}
	s.start()
	defer s.stop()
	from := func(ns *netlab.NS, args ...string) string {
		out, _ := ns.Command(t.Context(), args[0], args[1:]...).CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	curl := func(ns *netlab.NS, args ...string) string {
		return from(ns, append([]string{"curl", "-sS", "-m", "10", "-w", " %{http_code}"}, args...)...)
	}
	const version = "://192.0.2.1:5240/MAAS/api/2.0/version/"
	refused := curl(client, "http"+version)
	if !strings.HasSuffix(refused, " 421") || !strings.Contains(refused, "use https://192.0.2.1:5240/") {
		t.Errorf("plain HTTP of another host: %s", refused)
	}
	for what, got := range map[string]string{
		"plain HTTP of the host itself": curl(site, "http"+version),
		"metrics":                       curl(client, "http://192.0.2.1:5240/metrics"),
		"TLS with its certificate":      curl(client, "--cacert", filepath.Join(s.data, "api.crt"), "https"+version),
	} {
		if !strings.HasSuffix(got, " 200") {
			t.Errorf("%s: %s", what, got)
		}
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "fingerprint=")
	fingerprint := strings.Fields(rest + " none")[0]
	if len(fingerprint) != 64 || !strings.Contains(refused, fingerprint) {
		t.Errorf("the log has the fingerprint %q, the answer to plain HTTP is %s", fingerprint, refused)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(s.maas("apikey", "--username", "admin")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	if got := from(client, s.binary, "login", "192.0.2.1", "--key-file", key, "--fingerprint", strings.Repeat("00", 32)); !strings.Contains(got, "nothing was sent") {
		t.Errorf("logging in with another fingerprint: %s", got)
	}
	if got := from(client, s.binary, "login", "192.0.2.1", "--key-file", key, "--fingerprint", fingerprint); !strings.Contains(got, "Logged in to https://192.0.2.1:5240") {
		t.Errorf("logging in: %s", got)
	}
	if got := from(client, s.binary, "subnet", "list"); !strings.Contains(got, "192.0.2.0/24") {
		t.Errorf("a command after that: %s", got)
	}
	s.stop()
	for _, name := range []string{"api.crt", "api.key"} {
		if err := os.Remove(filepath.Join(s.data, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	if got := from(client, s.binary, "subnet", "list"); !strings.Contains(got, "the certificate has changed") || !strings.Contains(got, "maas login --fingerprint") {
		t.Errorf("with another certificate: %s", got)
	}
}

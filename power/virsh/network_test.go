package virsh_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/virsh"
)

// freePort returns a port on loopback that no program uses.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func TestTCP(t *testing.T) {
	port := freePort(t)
	daemon(t, "listen_tls = 0", "listen_tcp = 1", `listen_addr = "127.0.0.1"`, fmt.Sprintf(`tcp_port = "%d"`, port), `auth_tcp = "none"`)
	exercise(t, power.Params{"power_address": fmt.Sprintf("test+tcp://127.0.0.1:%d/default", port), "power_id": "test"})
}

// authority signs certificates for the test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate and its key in PEM; a nil authority signs itself.
func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) (cert, key []byte, own *authority) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signer := &authority{template, private}
	if a == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	} else {
		signer = a
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, &private.PublicKey, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
		&authority{template, private}
}

func TestTLS(t *testing.T) {
	var none *authority
	caCert, _, ca := none.issue(t, "test authority", 0)
	cert, key, _ := ca.issue(t, "127.0.0.1", x509.ExtKeyUsageServerAuth)
	clientCert, clientKey, _ := ca.issue(t, "client", x509.ExtKeyUsageClientAuth)
	dir, err := os.MkdirTemp("", "virsh") // that of the test is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, text := range map[string][]byte{"ca.pem": caCert, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	daemon(t, "listen_tls = 1", "listen_tcp = 0", `listen_addr = "127.0.0.1"`, fmt.Sprintf(`tls_port = "%d"`, port), `auth_tls = "none"`,
		fmt.Sprintf("ca_file = \"%[1]s/ca.pem\"\ncert_file = \"%[1]s/cert.pem\"\nkey_file = \"%[1]s/key.pem\"", dir))
	block, _ := pem.Decode(cert)
	pin := sha256.Sum256(block.Bytes)
	params := power.Params{
		"power_address": fmt.Sprintf("test+tls://127.0.0.1:%d/default", port), "power_id": "test",
		"tls_cert": string(clientCert), "tls_key": string(clientKey), "tls_fingerprint": hex.EncodeToString(pin[:]),
	}
	exercise(t, params)
	for without, class := range map[string]power.Class{"tls_fingerprint": power.Settings, "tls_cert": power.Auth} {
		bad := maps.Clone(params)
		delete(bad, without)
		_, err := powertest.Controller(t, virsh.Kind()).Query(t.Context(), power.Target{Kind: virsh.Name, Params: bad})
		if power.ClassOf(err) != class {
			t.Errorf("without %s: %v", without, err)
		}
	}
}

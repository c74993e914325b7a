//go:build linux

package qemutest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Authority is a certificate authority of a test, by which Secure Boot trusts programs.
type Authority struct {
	Name string
	cert []byte // DER
	dir  string // key.pem and cert.pem
}

// NewAuthority makes an authority. It skips the test if the programs that sign are missing.
func NewAuthority(t testing.TB, name string) Authority {
	t.Helper()
	netlab.Require(t, netlab.Program("sbsign", "sbsigntool"), netlab.Program("sbattach", "sbsigntool"))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	a := Authority{Name: name, dir: t.TempDir()}
	if a.cert, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"key.pem":  {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)},
		"cert.pem": {Type: "CERTIFICATE", Bytes: a.cert},
	} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// Sign writes a program with the signatures of authorities in place of the ones that it has.
func Sign(t testing.TB, from, to string, authorities ...Authority) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(to, from); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o644); err != nil {
		t.Fatal(err)
	}
	for run(t.Context(), "sbattach", "--remove", to) == nil { // one signature each time
	}
	for _, a := range authorities {
		if err := run(t.Context(), "sbsign", "--key", filepath.Join(a.dir, "key.pem"), "--cert", filepath.Join(a.dir, "cert.pem"), "--output", to, to); err != nil {
			t.Fatal(err)
		}
	}
}

func run(ctx context.Context, program string, args ...string) error {
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", program, args, err, out)
	}
	return nil
}

// Trusting returns a file with the variables of UEFI firmware that enforces Secure Boot and starts
// what one of the authorities signed, for VM.Vars.
func Trusting(t testing.TB, authorities ...Authority) string {
	t.Helper()
	store, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	if err != nil {
		t.Fatal(err)
	}
	var db []byte
	for _, a := range authorities {
		db = append(db, signatureList(a.cert)...)
	}
	owner := signatureList(authorities[0].cert)
	for _, v := range []struct {
		name, vendor string
		data         []byte
	}{{"PK", globalVariables, owner}, {"KEK", globalVariables, owner}, {"db", imageSecurity, db}} {
		if err := addVariable(store, v.name, v.vendor, v.data); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "vars.fd")
	if err := os.WriteFile(file, store, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// GUIDs of UEFI as they are in memory: the first three fields little-endian.
const (
	globalVariables = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
	imageSecurity   = "\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f"
	certificateX509 = "\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72"
	variableStore   = "\x78\x2c\xf3\xaa\x7b\x94\x9a\x43\xa1\x80\x2e\x14\x4e\xc3\x77\x92"
)

// signatureList is an EFI_SIGNATURE_LIST with one certificate (UEFI 2.10 section 32.4.1).
func signatureList(cert []byte) []byte {
	le := binary.LittleEndian
	entry := uint32(16 + len(cert))
	b := le.AppendUint32([]byte(certificateX509), 28+entry)
	b = le.AppendUint32(le.AppendUint32(b, 0), entry)
	return append(append(b, globalVariables...), cert...) // any GUID is an owner
}

// addVariable writes a variable after those in a store, as EDK II does in
// MdeModulePkg/Include/Guid/VariableFormat.h.
func addVariable(store []byte, name, vendor string, data []byte) error {
	le := binary.LittleEndian
	at := bytes.Index(store, []byte(variableStore))
	if at < 0 {
		return fmt.Errorf("qemutest: the variables of the firmware have no store that is known")
	}
	at += 28
	const header, startID = 60, 0x55aa
	for ; le.Uint16(store[at:]) == startID; at = (at + 3) &^ 3 {
		at += header + int(le.Uint32(store[at+36:])+le.Uint32(store[at+40:]))
	}
	var text []byte
	for _, c := range append(utf16.Encode([]rune(name)), 0) {
		text = le.AppendUint16(text, c)
	}
	const (
		added      = 0x3f // the state of a whole variable
		attributes = 0x27 // kept, readable at boot and at run time, changed by who signs with a time
	)
	v := store[at:]
	clear(v[:header])
	le.PutUint16(v, startID)
	v[2] = added
	le.PutUint32(v[4:], attributes)
	le.PutUint16(v[16:], 2020) // the time of the last change
	v[18], v[19] = 1, 1
	le.PutUint32(v[36:], uint32(len(text)))
	le.PutUint32(v[40:], uint32(len(data)))
	copy(v[44:], vendor)
	copy(v[copy(v[header:], text)+header:], data)
	return nil
}

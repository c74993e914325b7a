package enrol_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
)

func newCA(t testing.TB) *enrol.CA {
	t.Helper()
	ca, err := enrol.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// serve runs a region that lets in who has the secret "open".
func serve(t *testing.T, ca *enrol.CA) (address string) {
	t.Helper()
	sign := func(in enrol.Request, rack string) (enrol.Answer, error) {
		cert, err := ca.SignRack(in.CSR, rack, 1, time.Hour)
		if err != nil {
			return enrol.Answer{}, err
		}
		return enrol.Answer{Cert: cert.Raw, Regions: []string{address}}, nil
	}
	var methods rpc.Methods
	rpc.Offer(&methods, enrol.RenewMethod, func(ctx context.Context, in enrol.Request) (enrol.Answer, error) {
		return sign(in, rpc.CallingRack(ctx))
	})
	server, err := wire.NewServer(wire.ServerConfig{
		Region: rpc.NewRegion(rpc.RegionConfig{Methods: &methods}), TLS: ca.RegionTLS(),
		Authorize: func(_ context.Context, cert *x509.Certificate) (string, error) { return cert.Subject.CommonName, nil },
		Enrol: func(_ context.Context, question []byte) ([]byte, error) {
			var in enrol.Request
			if err := json.Unmarshal(question, &in); err != nil || in.Secret != "open" {
				return nil, errors.New("the token is not known")
			}
			out, err := sign(in, in.Rack)
			if err != nil {
				return nil, err
			}
			return json.Marshal(out)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	return address
}

func TestARackJoinsRenewsAndConnects(t *testing.T) {
	ca := newCA(t)
	address := serve(t, ca)
	token := enrol.Token{Regions: []string{address}, Fingerprint: ca.Fingerprint(), Secret: "open", Expires: time.Now().Add(time.Minute)}
	id, regions, err := enrol.Join(t.Context(), token, "rack-7")
	if err != nil {
		t.Fatal(err)
	}
	if id.Name() != "rack-7" || len(regions) != 1 {
		t.Errorf("name %s, regions %v", id.Name(), regions)
	}
	path := filepath.Join(t.TempDir(), "identity.pem")
	if err := id.Save(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if id, err = enrol.Load(path); err != nil {
		t.Fatal(err)
	}
	d := &wire.Dialer{Regions: func() []string { return regions }, TLS: func() (*tls.Config, error) { return id.TLS() }}
	conn, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := enrol.Renew(t.Context(), conn, id)
	if err != nil {
		t.Fatal(err)
	}
	if renewed.Key.Equal(id.Key) || renewed.Name() != "rack-7" || enrol.Serial(renewed.Cert) == enrol.Serial(id.Cert) {
		t.Error("a renewal makes another key and certificate for the same name")
	}
	id = renewed
	second, err := d.Dial(t.Context())
	if err != nil {
		t.Fatalf("with the renewed certificate: %v", err)
	}
	for _, c := range []rpc.Conn{conn, second} {
		c.(interface{ Close() error }).Close()
	}
}

func TestJoinIsRefused(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	address := serve(t, ca)
	good := enrol.Token{Regions: []string{address}, Fingerprint: ca.Fingerprint(), Secret: "open", Expires: time.Now().Add(time.Minute)}
	for want, change := range map[string]func(*enrol.Token){
		"not a region of the site":    func(t *enrol.Token) { t.Fingerprint = other.Fingerprint() },
		"the token is not known":      func(t *enrol.Token) { t.Secret = "sesame" },
		"the token expired":           func(t *enrol.Token) { t.Expires = time.Now().Add(-time.Minute) },
		"connect: connection refused": func(t *enrol.Token) { t.Regions = []string{"127.0.0.1:1"} },
	} {
		token := good
		change(&token)
		_, _, err := enrol.Join(t.Context(), token, "rack-7")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCAIsKept(t *testing.T) {
	ca := newCA(t)
	cert, key, err := ca.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := enrol.ParseCA(cert, key)
	if err != nil || again.Fingerprint() != ca.Fingerprint() {
		t.Fatalf("%v", err)
	}
	otherCert, _, _ := newCA(t).Marshal()
	if _, err := enrol.ParseCA(otherCert, key); err == nil {
		t.Error("a key of another certificate was taken")
	}
}

func TestIdentitiesThatCannotBeLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.pem")
	if _, err := enrol.Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for _, text := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := enrol.Load(path); err == nil || !strings.Contains(err.Error(), "enrol again") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTokensAreOneWord(t *testing.T) {
	want := enrol.Token{Regions: []string{"192.0.2.1:5250", "[2001:db8::1]:5250"}, Fingerprint: newCA(t).Fingerprint(), Secret: "s", Expires: time.Unix(2e9, 0)}
	text := want.String()
	if strings.ContainsAny(text, " \t\n'\"$") {
		t.Errorf("a shell would mind %s", text)
	}
	got, err := enrol.ParseToken(text + "\n")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"", "maas1-", text[:len(text)-5], strings.ToUpper(text)} {
		if _, err := enrol.ParseToken(bad); err == nil || !strings.Contains(err.Error(), "not a whole token") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("maas1-")
	f.Add(enrol.Token{Regions: []string{"a:1"}, Fingerprint: strings.Repeat("0", 64), Secret: "s"}.String())
	f.Fuzz(func(t *testing.T, text string) {
		token, err := enrol.ParseToken(text)
		if err != nil {
			return
		}
		if again, err := enrol.ParseToken(token.String()); err != nil || again.String() != token.String() {
			t.Errorf("%+v became %+v, %v", token, again, err)
		}
	})
}

func ExampleToken() {
	token := enrol.Token{Regions: []string{"192.0.2.1:5250"}, Fingerprint: strings.Repeat("ab", 32), Secret: "secret", Expires: time.Unix(1_900_000_000, 0)}
	again, err := enrol.ParseToken(token.String())
	fmt.Println(again.Regions, err)
	// Output: [192.0.2.1:5250] <nil>
}

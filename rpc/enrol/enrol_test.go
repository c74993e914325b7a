package enrol_test

import (
	"context"
	"crypto/tls"
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

// serve runs a region that lets in what its book has, and returns its address.
func serve(t *testing.T, ca *enrol.CA, book enrol.Book) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthority(t, ca, book, ln.Addr().String())
	var methods rpc.Methods
	a.Offer(&methods)
	server, err := wire.NewServer(a.ServerConfig(rpc.NewRegion(rpc.RegionConfig{Methods: &methods})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	return ln.Addr().String()
}

// opened returns a book with a token whose secret is "open".
func opened(token enrol.Token) *enrol.MemBook {
	book := new(enrol.MemBook)
	token.Secret = "open"
	token.Expires = time.Now().Add(time.Minute)
	book.Add(token)
	return book
}

func TestARackJoinsRenewsAndConnects(t *testing.T) {
	ca := newCA(t)
	address := serve(t, ca, opened(enrol.Token{}))
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
	address := serve(t, ca, opened(enrol.Token{}))
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

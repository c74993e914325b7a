package enrol_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
)

func newAuthority(t *testing.T, ca *enrol.CA, book enrol.Book, address string) *enrol.Authority {
	t.Helper()
	a, err := enrol.NewAuthority(enrol.AuthorityConfig{CA: ca, Book: book, Life: time.Hour,
		Regions: func(context.Context) ([]string, error) { return []string{address}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthoritiesNeedTheirParts(t *testing.T) {
	if _, err := enrol.NewAuthority(enrol.AuthorityConfig{}); err == nil || !strings.Contains(err.Error(), "needs CA, Book and Regions") {
		t.Errorf("%v", err)
	}
	a := newAuthority(t, newCA(t), new(enrol.MemBook), "127.0.0.1:1")
	if _, err := a.Enrol(t.Context(), []byte("{broken secret")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if _, err := a.Renew(t.Context(), enrol.Request{}); err == nil || !strings.Contains(err.Error(), "has no certificate to renew") {
		t.Errorf("%v", err)
	}
}

// A token lets one host in: of many that use it at once, one.
func TestATokenIsGoodOnce(t *testing.T) {
	ca, book := newCA(t), new(enrol.MemBook)
	address := serve(t, ca, book)
	a := newAuthority(t, ca, book, address)
	token, err := a.NewToken(t.Context(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := enrol.Join(t.Context(), token, "rack-0"); err == nil || !strings.Contains(err.Error(), "token is not known") {
		t.Errorf("a token that no book has: %v", err)
	}
	book.Add(token)
	var mu sync.Mutex
	var in []*enrol.Identity
	var running sync.WaitGroup
	for _, name := range []string{"rack-1", "rack-2", "rack-3", "rack-4"} {
		running.Go(func() {
			if id, _, err := enrol.Join(t.Context(), token, name); err == nil {
				mu.Lock()
				in = append(in, id)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if len(in) != 1 || enrol.Generation(in[0].Cert) != 1 {
		t.Fatalf("%d hosts were let in by one token", len(in))
	}
	// Its name is taken, until it is revoked.
	second, err := a.NewToken(t.Context(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	book.Add(second)
	if _, _, err := enrol.Join(t.Context(), second, in[0].Name()); err == nil || !strings.Contains(err.Error(), "is enrolled already") {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := errors.Join(book.Revoke(in[0].Name())); err != nil {
		t.Fatal(err)
	}
	if _, err := book.RackOf(t.Context(), in[0].Cert); !errors.Is(err, rpc.ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
	again, _, err := enrol.Join(t.Context(), second, in[0].Name())
	if err != nil || enrol.Generation(again.Cert) != 2 {
		t.Errorf("after the revocation: %v", err)
	}
	if _, err := book.RackOf(t.Context(), in[0].Cert); err == nil {
		t.Error("the certificate of the host before is good again")
	}
	if err := book.Revoke("none"); err == nil {
		t.Error("a rack that never was is revoked")
	}
}

// Of two hosts with one identity both are shut out as soon as the older certificate is shown again.
func TestCopiesAreNoticed(t *testing.T) {
	ca, book := newCA(t), new(enrol.MemBook)
	address := serve(t, ca, book)
	token, err := newAuthority(t, ca, book, address).NewToken(t.Context(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	book.Add(token)
	id, regions, err := enrol.Join(t.Context(), token, "rack-7")
	if err != nil {
		t.Fatal(err)
	}
	copied := *id
	keeper, err := enrol.Keep(filepath.Join(t.TempDir(), "identity.pem"), id)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &wire.Dialer{Regions: func() []string { return regions }, TLS: keeper.TLS}
	for generation := int64(2); generation < 5; generation++ {
		conn, err := dialer.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := keeper.Renew(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		conn.(interface{ Close() error }).Close()
		if got := enrol.Generation(keeper.Identity().Cert); got != generation {
			t.Errorf("generation %d, want %d", got, generation)
		}
	}
	old := &wire.Dialer{Regions: dialer.Regions, TLS: copied.TLS}
	if _, err := old.Dial(t.Context()); err == nil {
		t.Error("a copy was let in")
	}
}

// flaky is a region that fails some renewals.
type flaky struct {
	rpc.Conn
	ca       *enrol.CA
	failures int
}

func (f *flaky) Call(_ context.Context, method string, in []byte) ([]byte, error) {
	if f.failures > 0 {
		f.failures--
		return nil, rpc.ErrUnavailable
	}
	var r enrol.Request
	if err := json.Unmarshal(in, &r); err != nil || method != enrol.RenewMethod {
		return nil, errors.Join(err, errors.New(method))
	}
	cert, err := f.ca.SignRack(r.CSR, "rack-7", 2, time.Hour)
	if err != nil {
		return nil, err
	}
	return json.Marshal(enrol.Answer{Cert: cert.Raw})
}

func TestKeepersRenewInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newCA(t)
		first, err := ca.Issue("rack-7", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		keeper, err := enrol.Keep(filepath.Join(t.TempDir(), "identity.pem"), first)
		if err != nil {
			t.Fatal(err)
		}
		if err := keeper.Run(t.Context(), &flaky{ca: ca, failures: 1}); !errors.Is(err, enrol.ErrRenewed) {
			t.Errorf("%v", err)
		}
		if enrol.Generation(keeper.Identity().Cert) != 2 {
			t.Error("the identity is the old one")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := keeper.Run(ctx, &flaky{ca: ca}); err != nil {
			t.Errorf("a session that ends: %v", err)
		}
	})
}

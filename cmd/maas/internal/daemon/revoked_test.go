package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
	"github.com/gomaas/maas/store/inventory"
)

// A stolen rack is shut out also when another host has its name and a good certificate before this region looks, as when both
// happened at another region. It gets no new certificate for its name either.
func TestAReplacementDoesNotKeepTheRevokedRackIn(t *testing.T) {
	r, _ := startRegion(t)
	ctx := t.Context()
	token, err := r.NewToken(ctx, inventory.RackToken{Expires: time.Now().Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := openMembership(ctx, t.TempDir(), "rack-1", token.String(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&wire.Dialer{Regions: m.addresses, TLS: m.tls}).Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for at := (rpc.Position{}); ; {
			u, err := conn.Next(ctx, register.Topic, at)
			if err != nil {
				return
			}
			at = u.Position
		}
	}()
	if _, err := r.Inventory().RackTokens.Create(ctx, inventory.RackToken{Hash: "hash", Expires: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	err = r.Inventory().Atomically(ctx, func(ctx context.Context) error {
		if err := r.Inventory().Enrolment.Revoke(ctx, "rack-1"); err != nil {
			return err
		}
		return r.Inventory().Enrolment.Admit(ctx, "hash", inventory.RackCertificate{Serial: "1", Rack: "rack-1", Generation: 9, Expires: time.Now().Add(time.Hour)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enrol.Renew(ctx, conn, m.current()); err == nil {
		t.Error("the revoked rack got another certificate")
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the session goes on")
	}
}

// A rack that a region has shut out ends, and serves nothing when it is started again, until it
// joins with a new token.
func TestARevokedRackEnds(t *testing.T) {
	r, _ := startRegion(t)
	ctx, dir, log := t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)
	join := func() (*membership, error) {
		token, err := r.NewToken(ctx, inventory.RackToken{Expires: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		return openMembership(ctx, dir, "rack-1", token.String(), log)
	}
	m, err := join()
	if err != nil {
		t.Fatal(err)
	}
	var shut error
	dial := m.dialer((&wire.Dialer{Regions: m.addresses, TLS: m.tls}).Dial, func(err error) { shut = err })
	conn, err := dial(ctx)
	if err != nil || shut != nil {
		t.Fatalf("%v, %v", err, shut)
	}
	conn.(io.Closer).Close()
	if err := r.Inventory().Enrolment.Revoke(ctx, "rack-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(ctx); !errors.Is(err, rpc.ErrRevoked) || !errors.Is(shut, rpc.ErrRevoked) {
		t.Errorf("dial: %v; shut: %v", err, shut)
	}
	if _, err := openMembership(ctx, dir, "", "", log); err == nil || !strings.Contains(err.Error(), "has shut it out: ") {
		t.Errorf("started again: %v", err)
	}
	if _, err := join(); err != nil {
		t.Errorf("with a new token: %v", err)
	}
	if _, err := openMembership(ctx, dir, "", "", log); err != nil {
		t.Errorf("started after that: %v", err)
	}
}

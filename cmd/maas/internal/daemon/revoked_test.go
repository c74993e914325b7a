package daemon

import (
	"context"
	"log/slog"
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
		return r.Inventory().Enrolment.Admit(ctx, "hash", inventory.RackCertificate{Serial: "1", Rack: "rack-1", Expires: time.Now().Add(time.Hour)})
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

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
	"github.com/gomaas/maas/store/inventory"
)

// startRegion serves a region for racks on a port of the loopback interface, and its command socket.
func startRegion(t *testing.T) (*region.Region, client.Client) {
	t.Helper()
	dir := t.TempDir()
	racks, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	local, err := ListenLocal(t.Context(), SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	r, err := region.Open(t.Context(), region.Config{
		Dir: dir, Kinds: kinds.All(), Advertise: []string{racks.Addr().String()}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, region.Sockets{Local: local, Racks: []net.Listener{racks}}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("region: %v", err)
		}
		r.Close()
	})
	return r, client.Client{Socket: SocketPath(dir)}
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A revoked rack is shut out also when it takes no calls and so is not one that the region could call; the other racks are
// told to refuse its certificate.
func TestARevokedRackThatDoesNotListenIsShutOut(t *testing.T) {
	r, admin := startRegion(t)
	var token region.TokenInfo
	if err := admin.Post(t.Context(), region.TokensPath, url.Values{"ttl": {"1m"}}, &token); err != nil {
		t.Fatal(err)
	}
	m, err := openMembership(t.Context(), t.TempDir(), "rack-1", token.Token, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&wire.Dialer{Regions: m.addresses, TLS: m.tls}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		for at := (rpc.Position{}); ; {
			u, err := conn.Next(t.Context(), register.Topic, at)
			if err != nil {
				ended <- err
				return
			}
			at = u.Position
		}
	}()
	if err := r.Inventory().Enrolment.Revoke(t.Context(), "rack-1"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, rpc.ErrUnavailable) {
			t.Errorf("Next: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the session goes on")
	}
	if _, err := r.Inventory().RegisterRack(t.Context(), inventory.Rack{Name: "rack-2"}); err != nil {
		t.Fatal(err)
	}
	var other revocations
	wait(t, "the other racks are told", func() bool {
		u, err := r.RPC().State("rack-2").Next(t.Context(), register.Topic, rpc.Position{})
		if err != nil {
			t.Fatal(err)
		}
		objects := map[string][]byte{}
		for _, o := range u.Objects {
			objects[o.Key] = o.Value
		}
		if err := other.adopt(t.Context(), objects); err != nil {
			t.Fatal(err)
		}
		return other.refuse(m.current().Cert) != nil
	})
}

// A rack whose certificate is about to expire gets another one in its session and goes on with that.
func TestCertificatesAreRenewed(t *testing.T) {
	r, admin := startRegion(t)
	var token region.TokenInfo
	if err := admin.Post(t.Context(), region.TokensPath, url.Values{"ttl": {"1m"}}, &token); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	m, err := openMembership(t.Context(), dir, "rack-1", token.Token, log)
	if err != nil {
		t.Fatal(err)
	}
	m.links = []rack.Link{{Name: "absent0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}
	first := enrol.Serial(m.current().Cert)
	var renewed atomic.Int64
	var had []string // certificates; one session uses them after the other
	m.renewAt = func(id *enrol.Identity) time.Time {
		if !slices.Contains(had, enrol.Serial(id.Cert)) {
			had = append(had, enrol.Serial(id.Cert))
			renewed.Store(int64(len(had) - 1))
		}
		if len(had) <= 2 {
			return time.Time{} // long past
		}
		return id.RenewAt()
	}

	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Close()
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	if err != nil {
		t.Fatal(err)
	}
	defer outbox.Close()
	dialer := &wire.Dialer{Regions: m.addresses, Ordered: true, TLS: m.tls}
	protocol, err := rpc.NewRack(rpc.RackConfig{
		Replica: replica, Outbox: outbox, Dial: dialer.Dial, Connected: m.connected,
		Topics: []rpc.Topic{{Name: register.Topic, Apply: m.adopt}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- protocol.Serve(ctx) }()
	wait(t, "the certificate is another", func() bool { return enrol.Serial(m.current().Cert) != first })
	wait(t, "the rack connects with it, and renews it", func() bool { return renewed.Load() == 2 })
	wait(t, "its links are registered", func() bool {
		known, err := r.Inventory().Racks.Find(t.Context(), "rack-1")
		return err == nil && len(known.Links) == 1 && known.Links[0].Name == "absent0"
	})
	wait(t, "it knows the regions from the region", func() bool { return replica.Position(register.Topic).Revision > 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}

	again, err := openMembership(t.Context(), dir, "rack-1", token.Token, log)
	if err != nil || again.name() != "rack-1" || enrol.Serial(again.current().Cert) == first {
		t.Errorf("after a restart with the same token: %v", err)
	}
	if _, err := openMembership(t.Context(), dir, "rack-2", "", log); err == nil || !strings.Contains(err.Error(), "enrolled as rack-1") {
		t.Errorf("under another name: %v", err)
	}
}

// The token of an enrolment is used up at the region when its answer arrives: a power cut after the first write to the disk
// loses neither the identity nor the regions, with the token given again and without.
func TestAnEnrolmentSurvivesAPowerCut(t *testing.T) {
	ca, err := enrol.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	identity := func(name string) *enrol.Identity {
		id, err := ca.Issue(name, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	token := enrol.Token{Regions: []string{"127.0.0.1:1"}, Fingerprint: ca.Fingerprint(), Secret: "s", Expires: time.Now().Add(time.Hour)}
	for name, given := range map[string]string{"token given again": token.String(), "no token": ""} {
		t.Run(name, func(t *testing.T) {
			dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
			if err := identity("before").Save(filepath.Join(dir, identityFile)); err != nil { // of another site
				t.Fatal(err)
			}
			text, err := identity("rack-7").PEM()
			if err != nil {
				t.Fatal(err)
			}
			m := &membership{dir: dir}
			if err := m.record(joined{enrol.Hash(token.Secret), token.Regions, string(text)}); err != nil {
				t.Fatal(err)
			}
			if m, err = openMembership(t.Context(), dir, "", given, log); err != nil {
				t.Fatal(err)
			}
			if m.name() != "rack-7" || !slices.Equal(m.addresses(), token.Regions) {
				t.Errorf("name %s, regions %v", m.name(), m.addresses())
			}
			renewed := identity("rack-7")
			if _, err := enrol.Keep(filepath.Join(dir, identityFile), renewed); err != nil {
				t.Fatal(err)
			}
			if m, err = openMembership(t.Context(), dir, "", given, log); err != nil || enrol.Serial(m.current().Cert) != enrol.Serial(renewed.Cert) {
				t.Errorf("a later start undid a renewal: %v", err)
			}
		})
	}
}

package region

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// logText is a log to look into.
type logText struct {
	mu   sync.Mutex // guards the fields below
	text bytes.Buffer
}

// Write adds a line.
func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) contains(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), what)
}

// servingRacks serves a region for racks of other processes, with the rack "rack" beside it, until the test ends.
func servingRacks(t *testing.T, log *logText) *Region {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	r, err := Open(t.Context(), Config{
		Dir: t.TempDir(), LocalRack: "rack", Advertise: []string{ln.Addr().String()}, Kinds: power.NewRegistry(power.Manual()),
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	ok(t, err)
	_, err = r.inv.Bootstrap(t.Context(), inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("192.0.2.1/24")})
	ok(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, Sockets{Racks: []net.Listener{ln}}) }()
	t.Cleanup(func() {
		stop()
		ok(t, <-done)
		ok(t, r.Close())
	})
	return r
}

// session enrols a rack and connects it. The channel is closed when its session ends.
func session(t *testing.T, r *Region, name string) (*enrol.Identity, <-chan struct{}) {
	t.Helper()
	token, err := r.NewToken(t.Context(), inventory.RackToken{Expires: time.Now().Add(time.Minute)})
	ok(t, err)
	id, addresses, err := enrol.Join(t.Context(), token, name)
	ok(t, err)
	conn, err := (&wire.Dialer{Regions: func() []string { return addresses }, TLS: id.TLS}).Dial(t.Context())
	ok(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = conn.Accept(t.Context(), new(rpc.Methods))
	}()
	return id, ended
}

// What is revoked just when the database fails is cut, and published, when that is back, without any further change.
func TestRevocationsOutliveTheDatabasesAbsence(t *testing.T) {
	log := new(logText)
	r := servingRacks(t, log)
	id, ended := session(t, r, "rack-1")
	ok(t, r.db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := r.inv.Enrolment.Revoke(ctx, "rack-1"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "ALTER TABLE rack_certificate RENAME TO away")
		return err
	}))
	eventually(t, "the session is looked at in vain", func() bool { return log.contains("look for revoked racks") })
	eventually(t, "the publication fails", func() bool { return log.contains("state not published") })
	ok(t, r.db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "ALTER TABLE away RENAME TO rack_certificate")
		return err
	}))
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the session goes on")
	}
	eventually(t, "the other racks are told", func() bool {
		u, err := r.rpc.State("rack").Next(t.Context(), register.Topic, rpc.Position{})
		ok(t, err)
		objects := map[string][]byte{}
		for _, o := range u.Objects {
			objects[o.Key] = o.Value
		}
		revoked, err := register.Revoked(objects)
		ok(t, err)
		return slices.Contains(revoked, enrol.Serial(id.Cert))
	})
}

// A host that happens to be called as the rack in the region's process does not get that rack's name, not even with a token
// for it: both would be sent the same calls.
func TestNameOfTheLocalRackIsRefused(t *testing.T) {
	r := servingRacks(t, new(logText))
	for _, only := range []string{"", "rack"} {
		token, err := r.NewToken(t.Context(), inventory.RackToken{Rack: only, Expires: time.Now().Add(time.Minute)})
		ok(t, err)
		_, _, err = enrol.Join(t.Context(), token, "rack")
		if err == nil || !strings.Contains(err.Error(), "choose another with --name") {
			t.Errorf("with a token for %q: %v", only, err)
		}
	}
}

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/pgtest"
)

// served is a region of several on one database.
type served struct {
	t        *testing.T
	name     string
	dir, url string
	address  string
	region   *region.Region
	stop     func()
}

func (s *served) start() {
	s.t.Helper()
	listen := s.address
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	racks, err := net.Listen("tcp", listen)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = racks.Addr().String()
	s.region, err = region.Open(s.t.Context(), region.Config{
		Dir: s.dir, Database: s.url, Name: s.name, Kinds: kinds.All(), Advertise: []string{s.address}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.region.Serve(ctx, region.Sockets{Racks: []net.Listener{racks}}) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("region %s: %v", s.name, err)
		}
		s.region.Close()
	})
}

// twoRegions starts two on one database.
func twoRegions(t *testing.T) (a, b *served) {
	t.Helper()
	url := pgtest.Start(t).NewDatabase(t)
	a = &served{t: t, name: "a", dir: t.TempDir(), url: url}
	b = &served{t: t, name: "b", dir: t.TempDir(), url: url}
	a.start()
	t.Cleanup(func() { a.stop() })
	_, err := region.Open(t.Context(), region.Config{Dir: b.dir, Database: url, Kinds: kinds.All(), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "copy the file secret.key") {
		t.Errorf("without the key: %v", err)
	}
	key, err := os.ReadFile(filepath.Join(a.dir, region.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	other := make([]byte, len(key))
	for _, k := range [][]byte{other, key} {
		if err := os.WriteFile(filepath.Join(b.dir, region.KeyFile), k, 0o600); err != nil {
			t.Fatal(err)
		}
		if k[0] == other[0] {
			_, err := region.Open(t.Context(), region.Config{Dir: b.dir, Database: url, Kinds: kinds.All(), Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), "is not the key") {
				t.Errorf("with another key: %v", err)
			}
		}
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	return a, b
}

// member is a rack's place in the site, without servers.
type member struct {
	*membership
	replica *rpc.Replica
}

func (s *served) join(t *testing.T, name string) *member {
	t.Helper()
	dir := t.TempDir()
	token, err := s.region.NewToken(t.Context(), inventory.RackToken{Expires: time.Now().Add(time.Minute), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := openMembership(t.Context(), dir, name, token.String(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m.links = []rack.Link{{Name: "absent0"}}
	m.version = "1.2"
	cfg := m.rack(func(error) {})
	connected := func(ctx context.Context, conn rpc.Conn) error {
		report := inventory.RackReport{Version: m.version, Services: []inventory.RackService{{Name: "dhcp", Status: "running"}}}
		if _, err := rpc.Do[register.Answer](ctx, conn, register.HealthMethod, report); err != nil && ctx.Err() == nil {
			t.Errorf("health: %v", err)
		}
		return cfg.Connected(ctx, conn)
	}
	m.peers.settle, m.peers.pause, m.every = 500*time.Millisecond, 300*time.Millisecond, 200*time.Millisecond
	k := &member{membership: m}
	if k.replica, err = rpc.OpenReplica(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	if err != nil {
		t.Fatal(err)
	}
	var methods rpc.Methods
	rpc.Offer(&methods, "who", func(context.Context, int) (string, error) { return name, nil })
	protocol, err := rpc.NewRack(rpc.RackConfig{
		Replica: k.replica, Outbox: outbox, Dial: cfg.Dial, Connected: connected, Methods: &methods, MaxPause: 200 * time.Millisecond,
		Topics: append(cfg.Topics, rpc.Topic{Name: "dns", Apply: func(context.Context, map[string][]byte) error { return nil }}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- protocol.Serve(ctx) }()
	stop := m.peers.start(ctx, &methods)
	t.Cleanup(func() {
		cancel()
		stop()
		if err := <-done; err != nil {
			t.Errorf("rack: %v", err)
		}
		k.replica.Close()
		outbox.Close()
	})
	return k
}

// answers reports whether a region can call a rack.
func (s *served) answers(rack string) bool {
	who, err := rpc.Do[string](s.t.Context(), s.region.RPC().Rack(rack), "who", 1)
	return err == nil && who == rack
}

// Two regions share the racks; each can call all of them; when one dies its racks move, and come back after it.
func TestTwoRegionsShareTheirRacks(t *testing.T) {
	a, b := twoRegions(t)
	racks := []*member{a.join(t, "rack-1"), a.join(t, "rack-2"), b.join(t, "rack-3")}
	spread := func() string {
		var at []string
		for _, k := range racks {
			at = append(at, k.atHome())
		}
		return strings.Join(at, "")
	}
	wait(t, "the racks are dealt out to the regions", func() bool { return spread() == "aba" })
	everywhere := func() bool {
		for _, k := range racks {
			if !a.answers(k.name()) || !b.answers(k.name()) {
				return false
			}
		}
		return true
	}
	wait(t, "both regions can call every rack", everywhere)

	// What is written at one region reaches the racks of the other.
	before := racks[1].replica.Position("dns").Revision
	if _, err := a.region.Inventory().Records.Create(t.Context(), inventory.DNSRecord{Name: "new", Type: "A", Data: "192.0.2.9"}); err != nil {
		t.Fatal(err)
	}
	wait(t, "a change at one region is served by a rack of the other", func() bool { return racks[1].replica.Position("dns").Revision > before })

	wait(t, "the racks tell how they do", func() bool {
		all, err := b.region.Inventory().Health.Racks(t.Context())
		return err == nil && len(all) == 3 && all["rack-1"].Region == "a" && all["rack-2"].Region == "b" && all["rack-3"].Report.Version == "1.2"
	})
	wait(t, "the tasks have a leader", func() bool { return leaderOf(b, region.TaskPower) != "" })
	a.stop()
	wait(t, "the racks move", func() bool { return spread() == "bbb" })
	for _, task := range []string{region.TaskMaintenance, region.TaskDiscovery, region.TaskPower} {
		wait(t, "the tasks move", func() bool { return leaderOf(b, task) == "b" })
	}
	a.start()
	wait(t, "the racks come back", func() bool { return spread() == "aba" })
	wait(t, "both regions can call every rack again", everywhere)
	if regions := racks[0].allRegions(); fmt.Sprint(register.Flat(regions)) != fmt.Sprint([]string{a.address, b.address}) {
		t.Errorf("rack-1 knows %v", regions)
	}
}

// leaderOf returns the name of the region that has a task; "" if its lease was left or never taken.
func leaderOf(s *served, name string) string {
	d, err := s.region.Inventory().Leader.Of(s.t.Context(), name)
	if err != nil || time.Now().After(d.Expires) {
		return ""
	}
	holder, _, _ := strings.Cut(d.Holder, "/")
	return holder
}

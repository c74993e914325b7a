package bmcserve_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/bmcserve"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a server with simulated machines of several power types behind it: web-1 behind IPMI,
// pve behind Proxmox VE and plug behind a smart plug.
type served struct {
	*bmcserve.Server
	chassis map[string]powered
	web     string // host:port, with TLS
	ipmi    string // host:port of the listener for all
	own     string // host:port of the listener of web-1
	config  *tls.Config

	mu      sync.Mutex
	entries []bmcserve.Entry
}

// powered is a machine behind the server.
type powered interface{ On() bool }

func (s *served) audited() []bmcserve.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]bmcserve.Entry(nil), s.entries...)
}

// machines starts the simulated machines.
func machines(t testing.TB) (targets []power.Target, chassis map[string]powered) {
	t.Helper()
	chassis = map[string]powered{}
	for name, serve := range map[string]func(*powersim.Chassis) (*powersim.BMC, error){
		"web-1": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServeIPMI(c, "root", "hidden") },
		"pve": func(c *powersim.Chassis) (*powersim.BMC, error) {
			return powersim.ServeProxmox(c, "maas@pve", "hidden")
		},
		"plug": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServePlug(c, "shelly", "hidden") },
	} {
		c := &powersim.Chassis{}
		chassis[name] = c
		b, err := serve(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		target := b.Target()
		target.Name = name
		targets = append(targets, target)
	}
	return targets, chassis
}

func serve(t testing.TB) *served {
	t.Helper()
	targets, chassis := machines(t)
	return serveTargets(t, chassis, targets...)
}

func serveTargets(t testing.TB, chassis map[string]powered, targets ...power.Target) *served {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: kinds.All(), Poll: 20 * time.Millisecond, Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := &served{chassis: chassis}
	var names []string
	for _, target := range targets {
		names = append(names, target.Name)
	}
	cfg := bmcserve.Config{
		Power: bmcserve.Local(c, targets...), Machines: names, Fresh: 10 * time.Millisecond, Soft: time.Second,
		Accounts: []bmcserve.Account{
			{User: "admin", Password: "secret"}, {User: "one", Password: "secret-1", Machines: names[:1]},
			{User: "reader", Password: "secret-2", Machines: names[:1], ReadOnly: true},
		},
		Audit: func(e bmcserve.Entry) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.entries = append(s.entries, e)
		},
	}
	if _, measured := t.(*testing.B); measured { // without the rates that protect it
		cfg.Fresh, cfg.Requests = 0, bounds.Rate{Burst: 1 << 30, Every: time.Nanosecond}
	}
	if s.Server, err = bmcserve.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait(); s.Close() })
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.web, s.config = ln.Addr().String(), selfSigned(t)
	running.Go(func() {
		if err := s.Serve(ctx, ln, s.config); err != nil {
			t.Error(err)
		}
	})
	for _, l := range []struct {
		at      *string
		machine string
	}{{&s.ipmi, ""}, {&s.own, names[0]}} {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*l.at = conn.LocalAddr().String()
		running.Go(func() {
			if err := s.ServeIPMI(ctx, conn, l.machine); err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

// eventually waits for a state that a request began.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never came true", what)
		}
	}
}

func TestConfigurations(t *testing.T) {
	p := bmcserve.Local(nil)
	account := []bmcserve.Account{{User: "admin", Password: "x"}}
	for want, cfg := range map[string]bmcserve.Config{
		"needs a Power":                    {},
		"there is no account":              {Power: p},
		`machine "a/b"`:                    {Power: p, Accounts: account, Machines: []string{"a/b"}},
		`machine ".."`:                     {Power: p, Accounts: account, Machines: []string{".."}},
		"machine a: there are two":         {Power: p, Accounts: account, Machines: []string{"a", "a"}},
		`account "x": it needs`:            {Power: p, Accounts: []bmcserve.Account{{User: "x"}}},
		`account "a@b"`:                    {Power: p, Accounts: []bmcserve.Account{{User: "a@b", Password: "x"}}},
		"account admin: there are two":     {Power: p, Accounts: append(account, account...)},
		`account x: there is no machine "`: {Power: p, Accounts: []bmcserve.Account{{User: "x", Password: "x", Machines: []string{"b"}}}},
	} {
		if _, err := bmcserve.New(cfg); err == nil || !contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

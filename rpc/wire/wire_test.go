package wire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/rpctest"
	"github.com/gomaas/maas/rpc/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a region on a port of the loopback interface, with its CA.
type site struct {
	ca      *enrol.CA
	address string
	server  *wire.Server
	stop    func()
	logged  *logs

	mu         sync.Mutex // guards the fields below
	revoked    bool
	authorized func() // runs once, after a certificate was found good
}

// logs keeps what was logged.
type logs struct {
	mu   sync.Mutex // guards the fields below
	text strings.Builder
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newSite(t testing.TB, region *rpc.Region) *site {
	t.Helper()
	ca, err := enrol.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{ca: ca, logged: new(logs)}
	s.server, err = wire.NewServer(wire.ServerConfig{
		Region: region, TLS: ca.RegionTLS(), Authorize: s.authorize, Enrol: s.enrol, Log: slog.New(slog.NewTextHandler(s.logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(ctx, ln) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *site) authorize(_ context.Context, cert *x509.Certificate) (string, error) {
	s.mu.Lock()
	revoked, then := s.revoked, s.authorized
	s.authorized = nil
	s.mu.Unlock()
	if revoked {
		return "", errors.New("the certificate is revoked")
	}
	if then != nil {
		then()
	}
	return cert.Subject.CommonName, nil
}

func (s *site) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = true
}

func (s *site) enrol(_ context.Context, question []byte) ([]byte, error) {
	if string(question) != `"may I?"` {
		return nil, errors.New("you may not")
	}
	return []byte(`"you may"`), nil
}

// identity makes one signed by the site's CA.
func (s *site) identity(t testing.TB, name string) *enrol.Identity {
	t.Helper()
	key, csr := request(t)
	cert, err := s.ca.SignRack(csr, name, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(s.ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return &enrol.Identity{Key: key, Cert: cert, CA: root}
}

func (s *site) dialer(id *enrol.Identity) *wire.Dialer {
	return &wire.Dialer{Regions: func() []string { return []string{s.address} }, TLS: id.TLS}
}

func TestWireKeepsTheContract(t *testing.T) {
	rpctest.Run(t, func(t *testing.T, region *rpc.Region) rpctest.Dial {
		s := newSite(t, region)
		return s.dialer(s.identity(t, rpctest.Rack)).Dial
	})
}

func TestStrangersAreRefused(t *testing.T) {
	s := newSite(t, rpc.NewRegion(rpc.RegionConfig{}))
	foreign := newSite(t, rpc.NewRegion(rpc.RegionConfig{}))
	own := s.identity(t, "rack-1")

	mixed := foreign.identity(t, "rack-1")
	mixed.CA = own.CA
	// The refusal comes after the handshake (TLS 1.3): the connection may be gone before its alert is read.
	if _, err := s.dialer(mixed).Dial(t.Context()); !errors.Is(err, rpc.ErrUnavailable) && (err == nil || !strings.Contains(err.Error(), "does not take this rack's certificate")) {
		t.Errorf("a certificate of another CA: %v", err)
	}
	if _, err := foreign.dialer(own).Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a region of another CA: %v", err)
	}
	bare := &wire.Dialer{Regions: func() []string { return []string{s.address} }, TLS: func() (*tls.Config, error) {
		cfg, err := own.TLS()
		cfg.Certificates = nil
		return cfg, err
	}}
	if _, err := bare.Dial(t.Context()); err == nil {
		t.Error("without a certificate")
	}
	cfg, err := own.TLS()
	if err != nil {
		t.Fatal(err)
	}
	cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := tls.Dial("tcp", s.address, cfg); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	if strings.Contains(s.logged.String(), "rack connected") {
		t.Errorf("log:\n%s", s.logged)
	}
}

func TestAskIsBounded(t *testing.T) {
	s := newSite(t, rpc.NewRegion(rpc.RegionConfig{}))
	cfg, err := s.identity(t, "rack-1").TLS()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = nil
	if answer, err := wire.Ask(t.Context(), s.address, cfg, []byte(`"may I?"`)); string(answer) != `"you may"` || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
	for _, question := range []string{`"secret"`, `}`, `"` + strings.Repeat("x", 1<<20) + `"`} {
		if _, err := wire.Ask(t.Context(), s.address, cfg, []byte(question)); err == nil {
			t.Errorf("question of %d bytes was answered", len(question))
		}
	}
	if strings.Contains(s.logged.String(), "secret") {
		t.Errorf("the question is in the log:\n%s", s.logged)
	}
}

func TestRevocationEndsTheSession(t *testing.T) {
	region := rpc.NewRegion(rpc.RegionConfig{})
	s := newSite(t, region)
	stolen, replacement := s.identity(t, "rack-1"), s.identity(t, "rack-1")
	d := s.dialer(stolen)
	conn, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- conn.Accept(t.Context(), new(rpc.Methods)) }()
	s.revoke()
	if cut := s.server.Disconnect(only(replacement)); cut != nil {
		t.Errorf("sessions of %v with another certificate of that name were ended", cut)
	}
	select {
	case err := <-ended:
		t.Fatalf("the revocation of another certificate ended the session: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if cut := s.server.Disconnect(only(stolen)); !slices.Equal(cut, []string{"rack-1"}) {
		t.Errorf("sessions of %v were ended", cut)
	}
	if err := <-ended; !errors.Is(err, rpc.ErrUnavailable) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := d.Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "the certificate is revoked") {
		t.Errorf("Dial: %v", err)
	}
}

// only says yes to the certificate of an identity.
func only(id *enrol.Identity) func(*x509.Certificate) bool { return id.Cert.Equal }

// A method learns which certificate its caller showed; a call in the region's own process has none.
func TestMethodsKnowTheCertificate(t *testing.T) {
	methods := new(rpc.Methods)
	rpc.Offer(methods, "serial", func(ctx context.Context, _ int) (string, error) {
		if cert := wire.CallingCertificate(ctx); cert != nil {
			return enrol.Serial(cert), nil
		}
		return "none", nil
	})
	region := rpc.NewRegion(rpc.RegionConfig{Methods: methods})
	s := newSite(t, region)
	id := s.identity(t, "rack-1")
	remote, err := s.dialer(id).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for want, conn := range map[string]rpc.Conn{enrol.Serial(id.Cert): remote, "none": region.Conn("rack")} {
		if got, err := rpc.Do[string](t.Context(), conn, "serial", 1); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

// A rack that is revoked while it connects has no session, although there was none yet to end.
func TestRevocationMeetsARackThatComes(t *testing.T) {
	s := newSite(t, rpc.NewRegion(rpc.RegionConfig{}))
	id := s.identity(t, "rack-1")
	s.authorized = func() {
		s.revoke()
		s.server.Disconnect(only(id))
	}
	if _, err := s.dialer(id).Dial(t.Context()); err == nil {
		t.Error("a revoked rack is connected")
	}
	if log := s.logged.String(); !strings.Contains(log, "the certificate is revoked") {
		t.Errorf("log:\n%s", log)
	}
}

// A rack goes on with another region when its own dies, resumes by position, and loses no fact.
func TestARackMovesToAnotherRegion(t *testing.T) {
	var mu sync.Mutex
	taken := map[uint64]int{}
	record := func(_ context.Context, _ string, facts []rpc.Fact) error {
		mu.Lock()
		defer mu.Unlock()
		for _, f := range facts {
			taken[f.Seq]++
		}
		return nil
	}
	first, second := rpc.NewRegion(rpc.RegionConfig{Facts: record}), rpc.NewRegion(rpc.RegionConfig{Facts: record})
	a, b := newSite(t, first), newSite(t, second)
	b.stop()
	b = sameCA(t, a, second)
	for _, r := range []*rpc.Region{first, second} {
		r.State("rack-1").Set("dns", map[string][]byte{"a": []byte("1")})
	}
	replica, err := rpc.OpenReplica(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Close()
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(t.TempDir(), "outbox")})
	if err != nil {
		t.Fatal(err)
	}
	defer outbox.Close()
	d := &wire.Dialer{Regions: func() []string { return []string{a.address, b.address} }, TLS: a.identity(t, "rack-1").TLS}
	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Dial: d.Dial,
		Topics: []rpc.Topic{{Name: "dns", Apply: func(context.Context, map[string][]byte) error { return nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- rack.Serve(ctx) }()
	connected := func() bool { return len(first.Racks())+len(second.Racks()) == 1 }
	waitFor(t, "the rack is connected", connected)
	add := func() {
		if err := outbox.Add("lease", "x"); err != nil {
			t.Fatal(err)
		}
	}
	add()
	survivor, dying := second, a
	if len(second.Racks()) == 1 {
		survivor, dying = first, b
	}
	dying.stop()
	add()
	waitFor(t, "the rack has moved", func() bool { return len(survivor.Racks()) == 1 })
	waitFor(t, "all facts are taken", func() bool { n, _ := outbox.Pending(); return n == 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if taken[1] == 0 || taken[2] == 0 || len(taken) != 2 {
		t.Errorf("facts taken: %v", taken)
	}
}

// sameCA makes another region of a site.
func sameCA(t *testing.T, s *site, region *rpc.Region) *site {
	t.Helper()
	other := newSite(t, region)
	other.stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := wire.NewServer(wire.ServerConfig{Region: region, TLS: s.ca.RegionTLS(), Authorize: s.authorize})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(ctx, ln)
	}()
	second := &site{ca: s.ca, address: ln.Addr().String(), server: server, stop: sync.OnceFunc(func() { cancel(); <-done })}
	t.Cleanup(second.stop)
	return second
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

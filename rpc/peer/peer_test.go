package peer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/peer"
)

func identity(t *testing.T, ca *enrol.CA, name string) *enrol.Identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.SignRack(csr, name, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return &enrol.Identity{Key: key, Cert: cert, CA: root}
}

func newCA(t *testing.T) *enrol.CA {
	t.Helper()
	ca, err := enrol.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// serve runs a rack's peer on loopback; what it exchanges comes out of the channel.
func serve(t *testing.T, id *enrol.Identity, ln net.Listener, port int, partners ...string) <-chan *peer.Conn {
	t.Helper()
	return serveLogging(t, nil, id, ln, port, partners...)
}

func serveLogging(t *testing.T, log *slog.Logger, id *enrol.Identity, ln net.Listener, port int, partners ...string) <-chan *peer.Conn {
	t.Helper()
	conns := make(chan *peer.Conn, 4)
	var all []peer.Partner
	for _, name := range partners {
		all = append(all, peer.Partner{Name: name, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	}
	p, err := peer.New(peer.Config{
		Identity: func() *enrol.Identity { return id }, Partners: func() []peer.Partner { return all }, Port: port, Log: log,
		Exchange: func(ctx context.Context, _ string, c *peer.Conn) error {
			conns <- c
			<-ctx.Done()
			return c.Close()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	var listeners []net.Listener
	if ln != nil {
		listeners = append(listeners, ln)
	}
	go func() { done <- p.Serve(ctx, listeners...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return conns
}

func listen(t *testing.T) (net.Listener, int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln, ln.Addr().(*net.TCPAddr).Port
}

func TestExchange(t *testing.T) {
	ca := newCA(t)
	ln, port := listen(t)
	bs := serve(t, identity(t, ca, "b"), ln, 1, "a")
	as := serve(t, identity(t, ca, "a"), nil, port, "b")
	a, b := <-as, <-bs
	for _, text := range []string{"hello", "", string(make([]byte, 300_000))} {
		sent := make(chan error)
		go func() { sent <- a.Send([]byte(text)) }()
		if got, err := b.Receive(); err != nil || string(got) != text {
			t.Fatalf("received %d bytes, %v; want %d", len(got), err, len(text))
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Send(make([]byte, 1<<20+1)); err == nil {
		t.Error("a message over the limit was sent")
	}
}

// TestStrangers admits only partners with a certificate of the site.
func TestStrangers(t *testing.T) {
	ca := newCA(t)
	for _, tt := range []struct {
		name string
		id   *enrol.Identity
		want bool
	}{
		{"partner", identity(t, ca, "a"), true},
		{"another rack of the site", identity(t, ca, "aa"), false},
		{"same name, another site", identity(t, newCA(t), "a"), false},
		{"nobody", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, _ := listen(t)
			in := serve(t, identity(t, ca, "b"), ln, 1, "a")
			cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"maas-peer/1"}}
			if tt.id != nil {
				cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{tt.id.Cert.Raw}, PrivateKey: tt.id.Key}}
			}
			conn, err := tls.Dial("tcp", ln.Addr().String(), cfg)
			if err == nil {
				defer conn.Close()
			}
			select {
			case <-in:
				if !tt.want {
					t.Error("let in")
				}
			case <-time.After(300 * time.Millisecond):
				if tt.want {
					t.Errorf("not let in: %v", err)
				}
			}
		})
	}
}

// A partner whose certificate is refused is cut off, and does not come in again; with another certificate it does.
func TestRefusedCertificate(t *testing.T) {
	ca := newCA(t)
	ln, port := listen(t)
	old, b := identity(t, ca, "a"), identity(t, ca, "b")
	var refused atomic.Bool
	refusals := make(chan struct{}, 100)
	in, ended := make(chan struct{}, 4), make(chan struct{}, 4)
	run := func(cfg peer.Config, listeners ...net.Listener) {
		p, err := peer.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Serve(ctx, listeners...) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	run(peer.Config{
		Identity: func() *enrol.Identity { return b }, Partners: func() []peer.Partner { return []peer.Partner{{Name: "a"}} },
		Refuse: func(cert *x509.Certificate) error {
			if refused.Load() && cert.Equal(old.Cert) {
				select {
				case refusals <- struct{}{}:
				default: // enough were counted
				}
				return errors.New("revoked")
			}
			return nil
		},
		Exchange: func(ctx context.Context, _ string, c *peer.Conn) error {
			in <- struct{}{}
			<-ctx.Done()
			ended <- struct{}{}
			return c.Close()
		},
	}, ln)
	var now atomic.Pointer[enrol.Identity]
	now.Store(old)
	run(peer.Config{
		Identity: now.Load, Port: port,
		Partners: func() []peer.Partner {
			return []peer.Partner{{Name: "b", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}
		},
		Exchange: func(_ context.Context, _ string, c *peer.Conn) error {
			defer c.Close()
			_, err := c.Receive() // until the other side ends it
			return err
		},
	})
	<-in
	refused.Store(true)
	<-ended
	for range 5 { // it tries each second
		<-refusals
	}
	if len(in) > 0 {
		t.Error("the refused certificate is let in again")
	}
	now.Store(identity(t, ca, "a"))
	<-in
}

// TestImpostor dials an address at which another rack answers.
func TestImpostor(t *testing.T) {
	ca := newCA(t)
	ln, port := listen(t)
	in := serve(t, identity(t, ca, "c"), ln, 1, "a")
	lines := make(lineWriter, 100)
	out := serveLogging(t, slog.New(slog.NewTextHandler(lines, nil)), identity(t, ca, "a"), nil, port, "b")
	for {
		select {
		case <-out:
			t.Fatal("took rack c for rack b")
		case <-in: // the listener may have believed it before the dialer hung up
		case line := <-lines:
			if !strings.Contains(line, "partner unreachable") || !strings.Contains(line, `rack \"c\" answers`) {
				t.Errorf("logged %s", line)
			}
			return
		}
	}
}

// lineWriter hands on what is written.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

// Serve ends with ctx whatever it is at just then.
func TestServeEnds(t *testing.T) {
	id := identity(t, newCA(t), "rack-1")
	p, err := peer.New(peer.Config{
		Identity: func() *enrol.Identity { return id }, Partners: func() []peer.Partner { return nil },
		Exchange: func(context.Context, string, *peer.Conn) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		ln, _ := listen(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Serve(ctx, ln) }()
		for range i % 50 {
			runtime.Gosched() // so that Serve is somewhere else each time
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("it goes on")
		}
	}
}
